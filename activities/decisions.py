"""Spec 9.1, decision phase - decides which opportunities become plans.

Rules:
- Opportunities are judged in the order of their rank; those without a remedy are work for a person and not judged.
- One plan for one capability at a time: a capability that is being upgraded, or got a plan in this cycle, waits.
- Every decision is kept, the refused ones too.
- A plan says which of its gates cannot be proved at the rate of calls there is.

Not here: the formula (`engines/decisions.py`), the plan (`engines/upgrades.py`).
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Final

from temporalio import activity

from activities import messages as m
from activities.context import LOOP, Context
from config.rollouts import plan_named
from config.settings import RolloutStrategy
from domain.decisions import Decision, DecisionLimits
from domain.experiments import SuccessCriteria
from domain.opportunities import OpportunityStatus, Remedy, UpgradeOpportunity
from domain.rollouts import RolloutConfiguration
from domain.upgrades import PlanOrigin, PlanPolicy, UpgradePlan
from engines.decisions import evaluate
from engines.sizing import size, warnings
from engines.upgrades import make_plan

LATELY: Final = timedelta(days=7)
"""How far back the rate of calls is looked at."""


class DecisionActivities:
    """Decides and plans."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    @activity.defn
    def decide_upgrades(self, message: m.CycleMoment) -> m.Selected:
        """Decide on the open opportunities and plan the approved ones."""
        if not self._context.settings.rollout.enabled:
            return m.Selected(plans=(), considered=0)
        busy = {record.capability for record in self._store.upgrades.under_way()}
        plans: list[UpgradePlan] = []
        considered = 0
        for opportunity in self._ranked():
            assert opportunity.remedy is not None
            if opportunity.remedy.capability in busy:
                continue
            considered += 1
            decision = self.decide(message, opportunity)
            if decision.approved:
                busy.add(opportunity.remedy.capability)
                plans.append(self.plan(opportunity, decision, message))
        return m.Selected(plans=tuple(plans), considered=considered)

    def plan(self, opportunity: UpgradeOpportunity, decision: Decision, moment: m.CycleMoment) -> UpgradePlan:
        """Return the plan of an approved opportunity."""
        assert opportunity.remedy is not None
        origin = PlanOrigin(
            plan_id=_plan_id(opportunity.remedy, moment.cycle_id),
            cycle_id=moment.cycle_id,
            host=moment.host,
            at=moment.at,
        )
        plan = make_plan(opportunity, decision, self._policy(opportunity.remedy), origin)
        sizes = size(plan.rollout_config, self._calls_per_hour(plan.capability, moment.at))
        return plan.model_copy(update={"warnings": tuple(warnings(sizes))})

    def _calls_per_hour(self, capability: str, at: datetime) -> float:
        """Return how often a capability has been called of late."""
        usage = self._store.calls.usage(at - LATELY, at)
        return sum(method.n for method in usage if method.capability == capability) / (LATELY / timedelta(hours=1))

    def _ranked(self) -> list[UpgradeOpportunity]:
        opened = self._store.opportunities.list(status=OpportunityStatus.OPEN)
        actionable = [opportunity for opportunity in opened if opportunity.remedy is not None]
        return sorted(actionable, key=lambda opportunity: (-opportunity.score, opportunity.id))

    def decide(self, message: m.CycleMoment, opportunity: UpgradeOpportunity) -> Decision:
        """Decide on one opportunity, and remember the answer."""
        settings = self._context.settings
        free = settings.cycle.max_concurrent_upgrades - len(self._store.slots.held())
        limits = DecisionLimits(
            approve_at=settings.decision.approve_at,
            auto_approve_threshold=settings.decision.auto_approve_threshold,
            require_human_approval_above_risk=settings.decision.require_human_approval_above_risk,
        )
        decision = evaluate(opportunity, max(free, 0) / settings.cycle.max_concurrent_upgrades, limits)
        self._store.decisions.put(message.cycle_id, decision)
        self._store.audit.append(
            key=f"{message.cycle_id}/{opportunity.id}/decision",
            at=message.at,
            actor=LOOP,
            action="decision.approved" if decision.approved else "decision.refused",
            subject=opportunity.id,
            detail=decision.model_dump(mode="json"),
        )
        return decision

    def _policy(self, remedy: Remedy) -> PlanPolicy:
        settings = self._context.settings
        return PlanPolicy(
            rollout=self._rollout_for(remedy),
            ab_testing=settings.ab_testing.enabled,
            success_criteria=SuccessCriteria(
                significance_level=settings.ab_testing.default_significance_level,
                power=settings.ab_testing.default_power,
                max_latency_regression_percent=settings.performance.max_latency_regression_percent,
                max_duration=timedelta(days=settings.ab_testing.max_experiment_duration_days),
            ),
            automatic_rollback=settings.takes_back_by_itself,
            approval_timeout=timedelta(hours=settings.decision.approval_timeout_hours),
        )

    def _rollout_for(self, remedy: Remedy) -> RolloutConfiguration:
        settings = self._context.settings.rollout
        name = settings.new_capability_plan if remedy.is_new else settings.plan
        plan = plan_named(self._context.rollouts, name)
        if settings.default_strategy is RolloutStrategy.IMMEDIATE:
            last = len(plan.stages) - 1
            stage = plan.stages[last].model_copy(update={"gates": plan.gates_of(last)})
            return plan.model_copy(update={"stages": (stage,)})
        return plan


def _plan_id(remedy: Remedy, cycle_id: str) -> str:
    """Return an id that a repeated activity makes again, so that nothing is planned twice."""
    unique = uuid.uuid5(uuid.NAMESPACE_OID, f"{cycle_id}/{remedy.capability}/{remedy.package.digest}").hex[:8]
    return f"{remedy.capability}-{remedy.package.version}-{unique}"
