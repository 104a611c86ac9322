"""Spec 9.1, plans - decides the steps of an upgrade, what takes each back, and whether it must win an experiment.

Rules:
- The steps are those of the architecture, each after the one before it: snapshot, dependencies, security, performance,
  experiment, registration, rollout, validation.
- A step that changes something names the compensation for it; a step that only looks has none.
- A replacement must win an experiment when A/B testing is on; a new capability has nothing to be compared with.
- A new capability is given to whole callers: one who has found a tool does not lose it with the next call.
- Where nothing may be taken back without a person, no stage takes itself back.
- How the candidate comes into service (3.4) follows from what is known:

      standard     the contracts forbid that it runs beside the old version: no measurement, no experiment, no stages
      canary       the rollout has a stage for a share of the callers
      blue_green   its only stage serves everyone and has gates: the old version stays whole until they are proved good
      hot_swap     its only stage has no gates, or there is no old version to go back to

Not here: doing the steps (`workflows/upgrade.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from domain.compensations import CompensationKind
from domain.decisions import Decision
from domain.experiments import CapabilityVariant, Hypothesis
from domain.opportunities import Remedy, UpgradeOpportunity
from domain.plugins import LoadingStrategy
from domain.rollouts import AutoRollback, RolloutConfiguration
from domain.routing import Unit, VariantName
from domain.upgrades import (
    ImplementationStep,
    PlanOrigin,
    PlanPolicy,
    ReversibilityPlan,
    StepType,
    UpgradePlan,
)


class _StepPlan(NamedTuple):
    """What is known of a kind of step before it is done."""

    name: str
    takes_back: CompensationKind | None
    duration: timedelta


_STEPS: Final[dict[StepType, _StepPlan]] = {
    StepType.SNAPSHOT: _StepPlan("Take a snapshot", CompensationKind.RESTORE_SNAPSHOT, timedelta(seconds=10)),
    StepType.DEPENDENCIES: _StepPlan("Resolve dependencies", None, timedelta(seconds=5)),
    StepType.SECURITY: _StepPlan("Verify security", None, timedelta(seconds=5)),
    StepType.PERFORMANCE: _StepPlan("Measure performance", CompensationKind.REMOVE_PLUGIN, timedelta(seconds=30)),
    StepType.EXPERIMENT: _StepPlan("Run the experiment", CompensationKind.CLOSE_EXPERIMENT, timedelta(minutes=2)),
    StepType.REGISTRATION: _StepPlan("Register the plugin", CompensationKind.REMOVE_PLUGIN, timedelta(seconds=10)),
    StepType.ROLLOUT: _StepPlan("Roll out in stages", CompensationKind.RESTORE_ROUTE, timedelta(0)),
    StepType.VALIDATION: _StepPlan("Validate the upgrade", None, timedelta(seconds=10)),
}
"""Durations are what the steps take on one ordinary machine; the rollout's own is added from its stages."""


def make_plan(
    opportunity: UpgradeOpportunity, decision: Decision, policy: PlanPolicy, origin: PlanOrigin
) -> UpgradePlan:
    """Make the plan of one upgrade.

    Args:
        opportunity: the idea, with its remedy.
        decision: the answer to it, approved.
        policy: what the settings say about every plan.
        origin: ids and time of the plan.

    Returns:
        A plan that needs nothing else to be carried out.

    Raises:
        ValueError: the opportunity has no remedy or was not approved.
    """
    remedy = opportunity.remedy
    if remedy is None or not decision.approved:
        raise ValueError(f"opportunity {opportunity.id} has no approved remedy and cannot be planned")
    tested = policy.ab_testing and remedy.replaces is not None and remedy.side_by_side
    rollout = _rollout_for(remedy, policy)
    return UpgradePlan(
        id=origin.plan_id,
        cycle_id=origin.cycle_id,
        opportunity=opportunity,
        decision=decision,
        implementation_steps=_steps(origin.plan_id, rollout, _kinds(remedy, tested=tested)),
        requires_ab_test=tested,
        hypothesis=_hypothesis(remedy, policy) if tested else None,
        variants=_variants(remedy) if tested else (),
        success_criteria=policy.success_criteria if tested else None,
        rollout_config=rollout,
        loading_strategy=_strategy(remedy, rollout),
        reversibility_plan=ReversibilityPlan(automatic=policy.automatic_rollback),
        approval_timeout=policy.approval_timeout,
        host=origin.host,
        created_at=origin.at,
    )


def _rollout_for(remedy: Remedy, policy: PlanPolicy) -> RolloutConfiguration:
    rollout = policy.rollout
    if remedy.is_new:
        rollout = rollout.model_copy(update={"unit": Unit.CALLER})
    if not remedy.side_by_side:
        last = len(rollout.stages) - 1
        whole = rollout.stages[last].model_copy(update={"gates": rollout.gates_of(last)})
        rollout = rollout.model_copy(update={"stages": (whole,)})
    if policy.automatic_rollback:
        return rollout
    by_hand = AutoRollback(enabled=False)
    stages = tuple(stage.model_copy(update={"auto_rollback": by_hand}) for stage in rollout.stages)
    return rollout.model_copy(update={"stages": stages})


def _strategy(remedy: Remedy, rollout: RolloutConfiguration) -> LoadingStrategy:
    if not remedy.side_by_side:
        return LoadingStrategy.STANDARD
    if len(rollout.stages) > 1:
        return LoadingStrategy.CANARY
    return LoadingStrategy.BLUE_GREEN if remedy.replaces and rollout.gates_of(0) else LoadingStrategy.HOT_SWAP


def _kinds(remedy: Remedy, *, tested: bool) -> list[StepType]:
    left_out = set() if tested else {StepType.EXPERIMENT}
    if not remedy.side_by_side:
        left_out.add(StepType.PERFORMANCE)
    return [kind for kind in StepType if kind not in left_out]


def _steps(plan_id: str, rollout: RolloutConfiguration, kinds: Sequence[StepType]) -> tuple[ImplementationStep, ...]:
    steps: list[ImplementationStep] = []
    for kind in kinds:
        known = _STEPS[kind]
        steps.append(
            ImplementationStep(
                id=f"{plan_id}/{kind}",
                name=known.name,
                type=kind,
                dependencies=(steps[-1].id,) if steps else (),
                estimated_duration=rollout.total_duration if kind is StepType.ROLLOUT else known.duration,
                rollback_action=known.takes_back,
            )
        )
    return tuple(steps)


def _hypothesis(remedy: Remedy, policy: PlanPolicy) -> Hypothesis:
    limit = policy.success_criteria.max_latency_regression_percent
    return Hypothesis(
        statement=f"{remedy.package.id} answers the calls of {remedy.capability} as its control does, fails no more "
        f"often, and is at most {limit:g} % slower.",
        metric="error_rate",
    )


def _variants(remedy: Remedy) -> tuple[CapabilityVariant, ...]:
    """Return both versions; every replayed call is given to both, so each has half of the work."""
    assert remedy.replaces is not None
    return (
        CapabilityVariant(name=VariantName.CONTROL, version=remedy.replaces, traffic_allocation=0.5),
        CapabilityVariant(name=VariantName.CANDIDATE, version=remedy.package, traffic_allocation=0.5),
    )
