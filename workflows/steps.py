"""Spec 9.1, steps 1 to 6 - decides what each step of an upgrade calls and what would take it back.

Rules:
- A step that names a rollback action has it written down before it acts.
- A step whose report has not passed fails the upgrade with the report's sentence.
- Steps run in the order of the plan; each is told to the upgrade when it is done.

Not here: approval, slots and the outcome (`workflows/upgrade.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities import messages as m
from domain.base import JsonObject
from domain.compensations import CompensationKind
from domain.experiments import Experiment, Verdict
from domain.opportunities import Remedy
from domain.rollouts import Rollout, RolloutStatus
from domain.upgrades import ImplementationStep, StepType, UpgradePlan
from workflows import hands
from workflows.experiment import ExperimentWorkflow
from workflows.ids import experiment_workflow_id, rollout_workflow_id
from workflows.rollout import RolloutWorkflow

Report = Callable[[m.StepInput], Awaitable[m.StepReport]]


class Steps:
    """Carries out the steps of one plan.

    Args:
        plan: what to do.
        done: told after every step.
        before_rollout: told before any caller can meet the candidate.
    """

    def __init__(
        self,
        plan: UpgradePlan,
        done: Callable[[m.StepDone], Awaitable[None]],
        before_rollout: Callable[[], Awaitable[None]],
    ) -> None:
        self._plan = plan
        self._done = done
        self._before_rollout = before_rollout
        self._snapshot_id = f"snapshot-{plan.id}"
        self._work: dict[StepType, Callable[[], Awaitable[m.StepDone]]] = {
            StepType.SNAPSHOT: self._snapshot,
            StepType.DEPENDENCIES: self._reported(StepType.DEPENDENCIES, hands.resolve_dependencies),
            StepType.SECURITY: self._reported(StepType.SECURITY, hands.verify_security),
            StepType.PERFORMANCE: self._reported(StepType.PERFORMANCE, hands.assess_performance),
            StepType.EXPERIMENT: self._experiment,
            StepType.REGISTRATION: self._reported(StepType.REGISTRATION, hands.register_plugin),
            StepType.ROLLOUT: self._roll_out,
            StepType.VALIDATION: self._reported(StepType.VALIDATION, hands.validate_upgrade),
        }

    async def carry_out(self) -> None:
        """Do every step of the plan, in order."""
        for step in self._plan.implementation_steps:
            if step.rollback_action is not None:
                await self._register(step, step.rollback_action)
            await self._done(await self._work[step.type]())

    async def _register(self, step: ImplementationStep, kind: CompensationKind) -> None:
        message = m.CompensationInput(
            upgrade_id=self._plan.id,
            step=step.type,
            kind=kind,
            arguments=self._arguments(kind),
            at=workflow.now(),
        )
        await hands.register_compensation(message)

    def _arguments(self, kind: CompensationKind) -> JsonObject:
        capability = self._plan.capability
        if kind is CompensationKind.RESTORE_SNAPSHOT:
            return {"snapshot_id": self._snapshot_id, "capability": capability}
        if kind is CompensationKind.REMOVE_PLUGIN:
            return {"capability": capability, "version": self._remedy.package.model_dump(mode="json")}
        if kind is CompensationKind.CLOSE_EXPERIMENT:
            return {"experiment_id": experiment_workflow_id(self._plan.id)}
        return {"capability": capability}

    def _reported(self, step: StepType, ask: Report) -> Callable[[], Awaitable[m.StepDone]]:
        async def work() -> m.StepDone:
            report = await ask(m.StepInput(plan=self._plan, at=workflow.now()))
            if not report.passed:
                raise ApplicationError(report.summary, type=f"{step}_not_passed", non_retryable=True)
            return m.StepDone(step=step, summary=report.summary)

        return work

    async def _snapshot(self) -> m.StepDone:
        message = m.SnapshotInput(plan=self._plan, snapshot_id=self._snapshot_id, at=workflow.now())
        report = await hands.create_snapshot(message)
        return m.StepDone(step=StepType.SNAPSHOT, summary=report.summary, snapshot_id=self._snapshot_id)

    async def _experiment(self) -> m.StepDone:
        experiment = self._new_experiment()
        ended = await workflow.execute_child_workflow(
            ExperimentWorkflow.run,
            m.ExperimentInput(experiment=experiment, host=self._plan.host),
            id=experiment_workflow_id(self._plan.id),
            execution_timeout=experiment.success_criteria.max_duration,
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            static_summary=f"{self._plan.capability}: is the candidate better?",
        )
        assert ended.analysis is not None
        reasons = " ".join(ended.analysis.reasons)
        if ended.analysis.verdict is not Verdict.SHIP:
            raise ApplicationError(f"experiment {ended.analysis.verdict}: {reasons}", type="experiment_not_won")
        return m.StepDone(step=StepType.EXPERIMENT, summary=reasons)

    def _new_experiment(self) -> Experiment:
        assert self._plan.hypothesis is not None
        assert self._plan.success_criteria is not None
        return Experiment(
            id=experiment_workflow_id(self._plan.id),
            upgrade_id=self._plan.id,
            capability=self._plan.capability,
            hypothesis=self._plan.hypothesis,
            variants=self._plan.variants,
            success_criteria=self._plan.success_criteria,
            created_at=workflow.now(),
        )

    async def _roll_out(self) -> m.StepDone:
        await self._before_rollout()
        rollout = Rollout(
            id=rollout_workflow_id(self._plan.id),
            upgrade_id=self._plan.id,
            capability=self._plan.capability,
            control=self._remedy.replaces,
            candidate=self._remedy.package,
            plan=self._plan.rollout_config,
            status=RolloutStatus.PENDING,
            host=self._plan.host,
            strategy=self._plan.loading_strategy,
        )
        result = await workflow.execute_child_workflow(
            RolloutWorkflow.run,
            m.RolloutInput(rollout=rollout),
            id=rollout.id,
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            static_summary=f"{rollout.capability}: {rollout.plan.name} rollout to {rollout.candidate.version}",
        )
        done = m.StepDone(step=StepType.ROLLOUT, summary=result.reason, stages=result.stages)
        if result.status is not RolloutStatus.COMPLETE:
            await self._done(done)
            raise ApplicationError(result.reason, type="rollout_rolled_back", non_retryable=True)
        return done

    @property
    def _remedy(self) -> Remedy:
        remedy = self._plan.opportunity.remedy
        assert remedy is not None
        return remedy
