"""Spec 9.1, messages - decides what a workflow tells an activity and what it hears back.

Rules:
- One model in, one model out; every field is JSON, so that a person can read a history.
- `at` is the workflow's clock. An activity that stores a time stores this one.
- Big things (packages, snapshots, reports) stay on disk or in the store; their ids travel.

Not here: the records themselves (`domain/`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.approvals import ApprovalVerdict, Order
from domain.base import JsonObject, Model, Moment
from domain.compensations import CompensatingAction, CompensationKind, RollbackResult, RollbackType
from domain.cycles import CycleRecord, Trigger
from domain.experiments import Experiment
from domain.roles import Command
from domain.rollouts import Rollout, RolloutDecision, StageRecord, StageState
from domain.snapshots import Component
from domain.upgrades import StepType, UpgradePlan, UpgradeRecord, UpgradeStatus


class Done(Model):
    """It is done."""


class CycleInput(Model):
    """Start of `UpgradeCycle`."""

    trigger: Trigger = Trigger.MANUAL
    host: str = "local"


class CycleReport(Model):
    """A cycle is to be remembered as it is now, because of `action`."""

    record: CycleRecord
    action: str
    detail: str = ""
    at: Moment


class CycleMoment(Model):
    """A phase's work is to be done for this cycle, now."""

    cycle_id: str
    host: str = "local"
    at: Moment


class Discovered(Model):
    """How much a discovery activity found and stored."""

    found: int
    summary: str


class Analysed(Model):
    """The ranked opportunities of a cycle, by id, and how many of them have a remedy."""

    opportunity_ids: tuple[str, ...]
    actionable: int


class Selected(Model):
    """What the decision phase chose."""

    plans: tuple[UpgradePlan, ...]
    considered: int


class Validated(Model):
    """What the validation phase found of the upgrades deployed so far."""

    checked: int
    wrong: tuple[str, ...] = ()


class UpgradeOpening(Model):
    """An upgrade asks for its opportunity."""

    plan: UpgradePlan
    record: UpgradeRecord
    at: Moment


class Opened(Model):
    """Whether the upgrade has its opportunity, or why not."""

    opened: bool
    reason: str = ""


class UpgradeReport(Model):
    """An upgrade is to be remembered as it is now, because of `action`."""

    record: UpgradeRecord
    action: str
    detail: str = ""
    at: Moment


class OrderCheck(Model):
    """A person orders something of a workflow."""

    subject: str
    command: Command
    order: Order
    at: Moment


class Authorised(Model):
    """Whether the person may give the order, and what they are told if not."""

    allowed: bool
    reason: str = ""


class Answer(Model):
    """A person's answer, or the lack of one."""

    upgrade_id: str
    opportunity_id: str
    verdict: ApprovalVerdict
    actor: str
    reason: str = ""
    at: Moment


class SlotRequest(Model):
    """An upgrade asks for one of the places of `max_concurrent_upgrades`."""

    upgrade_id: str
    capability: str
    at: Moment


class SlotAnswer(Model):
    """Whether it got one."""

    acquired: bool


class StepInput(Model):
    """A step of an upgrade is to be done."""

    plan: UpgradePlan
    at: Moment


class StepReport(Model):
    """What a step found, in one sentence for a person, and in data for whoever wants more."""

    passed: bool
    summary: str
    detail: JsonObject = Field(default_factory=dict)


class StepDone(Model):
    """A step is complete, as the upgrade will remember it."""

    step: StepType
    summary: str
    stages: tuple[StageRecord, ...] = ()
    snapshot_id: str | None = None


class SnapshotInput(Model):
    """A snapshot is to be taken under an id that is known before."""

    plan: UpgradePlan
    snapshot_id: str
    at: Moment


class CompensationInput(Model):
    """A compensation is to be written down before its step acts."""

    upgrade_id: str
    step: str
    kind: CompensationKind
    arguments: JsonObject = Field(default_factory=dict)
    at: Moment


class CompensationRun(Model):
    """A compensation is to be run."""

    action: CompensatingAction
    at: Moment


class RollbackOrigin(StrEnum):
    """Who starts a rollback: a person, the upgrade's own saga, or the janitor."""

    PERSON = "person"
    SAGA = "saga"
    JANITOR = "janitor"


class RollbackInput(Model):
    """Start of `Rollback`.

    Attributes:
        upgrade_id: of the upgrade, or a capability, which stands for the last upgrade deployed on it.
        components: what to take back when the type is partial.
        actor: the person who ordered it; their role is checked when the origin is a person.
    """

    upgrade_id: str
    type: RollbackType = RollbackType.FULL
    components: tuple[Component, ...] = ()
    reason: str = "ordered"
    actor: str = ""
    origin: RollbackOrigin = RollbackOrigin.PERSON


class RollbackOpening(Model):
    """A rollback asks whether and how it may begin."""

    order: RollbackInput
    at: Moment


class RollbackBrief(Model):
    """What a rollback will do.

    Attributes:
        refusal: why it may not begin; empty when it may.
        upgrade_id: which upgrade is meant; empty when it may not begin.
        outcome: what the upgrade will be when all is taken back.
        actions: the compensations to run, in the order to run them.
        shares: shares of traffic to step down through before, largest first.
    """

    refusal: str = ""
    upgrade_id: str = ""
    outcome: UpgradeStatus = UpgradeStatus.ROLLED_BACK
    host: str = "local"
    actions: tuple[CompensatingAction, ...] = ()
    shares: tuple[float, ...] = ()


class TakenBack(Model):
    """How a rollback ended, and what became of the upgrade."""

    status: UpgradeStatus
    result: RollbackResult


class RollbackClosing(Model):
    """A rollback ends."""

    order: RollbackInput
    ended: TakenBack
    at: Moment


class ShareChange(Model):
    """An upgrade's candidate is to serve this share from now on."""

    upgrade_id: str
    share: float
    at: Moment


class ExperimentInput(Model):
    """Start of `Experiment`."""

    experiment: Experiment
    host: str = "local"


class ExperimentReport(Model):
    """An experiment is to be remembered as it is now."""

    experiment: Experiment
    at: Moment


class RolloutInput(Model):
    """Start of `Rollout`.

    The fields after `rollout` carry what happened so far across a continue-as-new.
    """

    rollout: Rollout
    stage: StageState | None = None
    paused_since: Moment | None = None
    seen_requests: tuple[str, ...] = ()


class RolloutView(Model):
    """What the query `status` of a rollout answers."""

    rollout: Rollout
    stage: StageState | None = None
    decision: RolloutDecision | None = None


class StageInput(Model):
    """A stage's share is to be put in force."""

    rollout: Rollout
    index: int
    at: Moment


class JudgeInput(Model):
    """The gates of the running stage are to be looked at."""

    rollout: Rollout
    state: StageState
    at: Moment


class RolloutReport(Model):
    """A rollout is to be remembered as it is now, because of `action`."""

    rollout: Rollout
    action: str
    detail: str = ""
    at: Moment


class SweepInput(Model):
    """Start of `Janitor`."""

    host: str = "local"
    at: Moment | None = None


class Swept(Model):
    """What the janitor found and did.

    Attributes:
        orphans: upgrades without an outcome whose workflow is gone.
    """

    orphans: tuple[str, ...] = ()
    released_slots: int = 0
    pruned_calls: int = 0
    pruned_snapshots: int = 0
    restored_plugins: int = 0
