"""Appendix A, UpgradePlan - decides what an upgrade will do and what is remembered of it.

Rules:
- The steps of a plan are those of 9.1 in its order, each naming what takes it back.
- An upgrade ends once, in deployed, rolled_back, rejected or failed; only a deployed one can still be rolled back.

Not here: making a plan (`engines/upgrades.py`), carrying it out (`workflows/upgrade.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from domain.base import Model, Moment, Share
from domain.compensations import CompensationKind, RollbackResult, RollbackType
from domain.decisions import Decision
from domain.experiments import CapabilityVariant, Hypothesis, SuccessCriteria
from domain.opportunities import UpgradeOpportunity
from domain.plugins import LoadingStrategy
from domain.rollouts import RolloutConfiguration, StageRecord


class StepType(StrEnum):
    """The steps of 9.1, in order."""

    SNAPSHOT = "snapshot"
    DEPENDENCIES = "dependencies"
    SECURITY = "security"
    PERFORMANCE = "performance"
    EXPERIMENT = "experiment"
    REGISTRATION = "registration"
    ROLLOUT = "rollout"
    VALIDATION = "validation"


class ImplementationStep(Model):
    """One item of a plan, with what takes it back."""

    id: str
    name: str
    type: StepType
    dependencies: tuple[str, ...] = ()
    estimated_duration: timedelta
    rollback_action: CompensationKind | None = None


class ReversibilityPlan(Model):
    """How the upgrade would be taken back."""

    rollback_type: RollbackType = RollbackType.FULL
    automatic: bool = True


class PlanPolicy(Model):
    """What the settings say about every plan.

    Attributes:
        ab_testing: whether a replacement must win an experiment first.
    """

    rollout: RolloutConfiguration
    ab_testing: bool = True
    success_criteria: SuccessCriteria = SuccessCriteria()
    automatic_rollback: bool = True
    approval_timeout: timedelta = timedelta(hours=72)


class PlanOrigin(Model):
    """Which plan is to be made, for which cycle, and when."""

    plan_id: str
    cycle_id: str
    host: str = "local"
    at: Moment


class UpgradePlan(Model):
    """Everything an upgrade needs to know at its start.

    Attributes:
        loading_strategy: how the candidate comes into service (3.4).
        host: name of the machine the agent lives on; its queue does what is bound to it.
        warnings: sentences about what the rollout will not be able to prove at the rate of calls there is.
        approved_by: the person who already agreed, when nobody needs to be asked again.
        approval_timeout: how long the loop waits for a person before it takes silence for no.
    """

    id: str
    cycle_id: str
    opportunity: UpgradeOpportunity
    decision: Decision
    implementation_steps: tuple[ImplementationStep, ...]
    requires_ab_test: bool = False
    hypothesis: Hypothesis | None = None
    variants: tuple[CapabilityVariant, ...] = ()
    success_criteria: SuccessCriteria | None = None
    rollout_config: RolloutConfiguration
    loading_strategy: LoadingStrategy = LoadingStrategy.CANARY
    reversibility_plan: ReversibilityPlan = ReversibilityPlan()
    approval_timeout: timedelta = timedelta(hours=72)
    warnings: tuple[str, ...] = ()
    approved_by: str | None = None
    host: str = "local"
    created_at: Moment

    @property
    def capability(self) -> str:
        """The capability the upgrade changes."""
        assert self.opportunity.remedy is not None
        return self.opportunity.remedy.capability

    @property
    def planned_duration(self) -> timedelta:
        """How long all steps are expected to take, without waiting for a person or a place."""
        return sum((step.estimated_duration for step in self.implementation_steps), timedelta(0))


class UpgradeStatus(StrEnum):
    """Where an upgrade stands."""

    AWAITING_APPROVAL = "awaiting_approval"
    WAITING_FOR_SLOT = "waiting_for_slot"
    IMPLEMENTING = "implementing"
    ROLLING_OUT = "rolling_out"
    ROLLING_BACK = "rolling_back"
    DEPLOYED = "deployed"
    ROLLED_BACK = "rolled_back"
    REJECTED = "rejected"
    FAILED = "failed"
    NEEDS_ATTENTION = "needs_attention"


_TAKEN_BACK = frozenset({UpgradeStatus.ROLLING_BACK, UpgradeStatus.NEEDS_ATTENTION})

UPGRADE_TRANSITIONS: Mapping[UpgradeStatus, frozenset[UpgradeStatus]] = {
    UpgradeStatus.AWAITING_APPROVAL: frozenset(
        {UpgradeStatus.WAITING_FOR_SLOT, UpgradeStatus.REJECTED, UpgradeStatus.FAILED}
    ),
    UpgradeStatus.WAITING_FOR_SLOT: frozenset(
        {UpgradeStatus.IMPLEMENTING, UpgradeStatus.REJECTED, UpgradeStatus.FAILED}
    ),
    UpgradeStatus.IMPLEMENTING: frozenset({UpgradeStatus.ROLLING_OUT}) | _TAKEN_BACK,
    UpgradeStatus.ROLLING_OUT: frozenset({UpgradeStatus.DEPLOYED}) | _TAKEN_BACK,
    UpgradeStatus.ROLLING_BACK: frozenset(
        {UpgradeStatus.ROLLED_BACK, UpgradeStatus.FAILED, UpgradeStatus.NEEDS_ATTENTION}
    ),
    UpgradeStatus.DEPLOYED: frozenset({UpgradeStatus.ROLLING_BACK}),
    UpgradeStatus.NEEDS_ATTENTION: frozenset({UpgradeStatus.ROLLING_BACK}),
    UpgradeStatus.ROLLED_BACK: frozenset(),
    UpgradeStatus.REJECTED: frozenset(),
    UpgradeStatus.FAILED: frozenset(),
}

OUTCOMES = frozenset(
    {
        UpgradeStatus.DEPLOYED,
        UpgradeStatus.ROLLED_BACK,
        UpgradeStatus.REJECTED,
        UpgradeStatus.FAILED,
        UpgradeStatus.NEEDS_ATTENTION,
    }
)
"""The states in which an upgrade's workflow has ended."""


class UpgradeRecord(Model):
    """What is remembered of one upgrade."""

    id: str
    cycle_id: str
    opportunity_id: str
    capability: str
    from_version: str | None
    to_version: str
    status: UpgradeStatus
    reason: str = ""
    risk: Share
    confidence: Share
    steps: tuple[StepType, ...] = Field(default=(), description="steps completed, in order")
    stages: tuple[StageRecord, ...] = ()
    snapshot_id: str | None = None
    approved_by: str | None = None
    started_at: Moment
    ended_at: Moment | None = None
    rollback: RollbackResult | None = None


class Slot(Model):
    """The right of one upgrade to be under way; there are as many as may run at once."""

    upgrade_id: str
    capability: str
    acquired_at: Moment
