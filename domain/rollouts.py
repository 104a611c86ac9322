"""Spec 5.2, rollout configuration - decides what a rollout plan, its state and its gates look like.

Rules:
- Stages run in order and their shares never shrink; a stage without gates of its own inherits the gates before it.
- A gate judges counts. Its verdict is PROVED_BAD, PROVED_GOOD, UNKNOWN or BLIND; silence is never good news.
- A decision is advance, hold, rollback or pause, with its reason and the next time to look.

Not here: the judgement itself (`engines/rollouts.py`), the waiting (`workflows/rollout.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from domain.base import Model, Moment, Share
from domain.plugins import LoadingStrategy
from domain.routing import HashId, PluginVersion, Unit, VariantName


class GateCondition(StrEnum):
    """How a metric is held against its threshold."""

    LESS_THAN = "less_than"
    GREATER_THAN = "greater_than"
    RELATIVE_TO_CONTROL = "relative_to_control"


class GateFailureAction(StrEnum):
    """What a failed gate leads to."""

    ROLLBACK = "rollback"
    PAUSE = "pause"


class Metric(StrEnum):
    """What a gate looks at. Latency gates count the calls above the threshold."""

    ERROR_RATE = "error_rate"
    LATENCY_P95 = "latency_p95"
    LATENCY_P99 = "latency_p99"


class TargetCriteria(Model):
    """Whom a stage serves beside its percentage of units."""

    callers: tuple[str, ...] = ()


class StageGate(Model):
    """A condition that must be proved before a stage may end.

    Attributes:
        threshold: an error rate in [0, 1], or milliseconds for a latency percentile; relative to the control, how many
            times as often calls may be bad.
        floor: relative to the control, the error rate below which more is never too much.
    """

    metric: Metric
    condition: GateCondition = GateCondition.LESS_THAN
    threshold: float = Field(gt=0)
    floor: float = Field(default=0.005, gt=0, lt=1)
    evaluation_window: timedelta
    on_failure: GateFailureAction = GateFailureAction.ROLLBACK

    @model_validator(mode="after")
    def _a_threshold_fits_its_metric(self) -> Self:
        relative = self.condition is GateCondition.RELATIVE_TO_CONTROL
        if relative and self.metric is not Metric.ERROR_RATE:
            raise ValueError(f"only error_rate can be relative to the control; {self.metric} needs its milliseconds")
        if self.metric is Metric.ERROR_RATE and self.threshold >= 1 and not relative:
            raise ValueError(f"an error rate is a share of calls, below 1; {self.threshold} is not (0.05 is 5 %)")
        return self


class AutoRollback(Model):
    """When a stage takes itself back without asking."""

    enabled: bool = True


class RolloutStage(Model):
    """One step of a rollout.

    Attributes:
        traffic_percentage: share of the units, in percent; 0 serves the target callers only.
        duration: the least time the stage lasts.
        max_duration: the most it may last when its gates stay unproved; three durations when not given.
        warm_up: time at the stage's beginning whose calls no gate counts.
        no_data_grace: how long no call at all is waited for; a day when not given, or the longest duration if that is
            shorter.
        min_calls: calls of the candidate below which no gate can be proved good.
    """

    name: str = Field(min_length=1)
    traffic_percentage: float = Field(ge=0, le=100)
    duration: timedelta = Field(gt=timedelta(0))
    max_duration: timedelta | None = None
    warm_up: timedelta = Field(default=timedelta(0), ge=timedelta(0))
    no_data_grace: timedelta | None = None
    target_criteria: TargetCriteria = TargetCriteria()
    gates: tuple[StageGate, ...] = ()
    auto_rollback: AutoRollback = AutoRollback()
    min_calls: int = Field(default=1, ge=0)
    requires_approval: bool = False

    @property
    def share(self) -> float:
        """The share as a number in [0, 1]."""
        return self.traffic_percentage / 100

    @property
    def longest(self) -> timedelta:
        """How long the stage may last at most."""
        return self.max_duration or 3 * self.duration

    @property
    def patience(self) -> timedelta:
        """How long the stage waits for its first call before a person is asked."""
        return self.no_data_grace or min(timedelta(days=1), self.longest)

    @model_validator(mode="after")
    def _warms_up_in_time(self) -> Self:
        if self.warm_up >= self.duration:
            raise ValueError(f"stage {self.name} lasts {self.duration} and warms up for {self.warm_up} of it")
        return self


class RolloutConfiguration(Model):
    """A named sequence of stages.

    Attributes:
        unit: what is assigned to a version as a whole.
        hash_id: how units are placed.
        salt: seeds the placement; the rollout's own id when not given, so that each rollout begins with others.
        check_every: how often the gates are looked at.
    """

    name: str
    unit: Unit = Unit.CALLER
    hash_id: HashId = HashId.XXH3
    salt: str = ""
    check_every: timedelta = Field(default=timedelta(minutes=15), gt=timedelta(0))
    stages: tuple[RolloutStage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _stages_make_sense(self) -> Self:
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError(f"rollout {self.name}: two stages share a name: {', '.join(names)}")
        for before, after in zip(self.stages, self.stages[1:], strict=False):
            if after.traffic_percentage < before.traffic_percentage:
                raise ValueError(f"rollout {self.name}: stage {after.name} serves less than {before.name} before it")
        if self.stages[-1].traffic_percentage != 100:
            raise ValueError(f"rollout {self.name}: the last stage, {self.stages[-1].name}, must serve 100 %")
        return self

    def gates_of(self, index: int) -> tuple[StageGate, ...]:
        """Return the gates of a stage, or those of the nearest stage before it that has some."""
        for stage in reversed(self.stages[: index + 1]):
            if stage.gates:
                return stage.gates
        return ()

    @property
    def total_duration(self) -> timedelta:
        """The least time the whole rollout lasts."""
        return sum((stage.duration for stage in self.stages), timedelta(0))


class Sample(Model):
    """Counts for one gate in one window, and whether their source can be trusted.

    Attributes:
        n: calls of the candidate that count.
        bad: those on the wrong side: failed, or slower than the gate's threshold.
        threshold: the gate's threshold these counts were taken for; None serves every gate of the metric.
        variant: whose calls they are.
    """

    metric: Metric
    variant: VariantName = VariantName.CANDIDATE
    n: int = Field(ge=0)
    bad: int = Field(ge=0)
    window_start: Moment
    window_end: Moment
    last_seen: Moment | None = None
    source_up: bool = True
    threshold: float | None = None

    @model_validator(mode="after")
    def _bad_are_among_n(self) -> Self:
        if self.bad > self.n:
            raise ValueError(f"{self.bad} bad calls of {self.n}")
        return self


class Evidence(Model):
    """What a look at a rollout sees.

    Attributes:
        samples: counts since the stage began: for each gate one for the whole time, or consecutive slices of it. A gate
            with a threshold of its own takes the samples that name it.
        tripwire: why the candidate must not go on whatever the counts say; empty when it may.
    """

    samples: tuple[Sample, ...] = ()
    tripwire: str = ""


class GateVerdict(StrEnum):
    """What the counts say about a gate."""

    PROVED_BAD = "proved_bad"
    PROVED_GOOD = "proved_good"
    UNKNOWN = "unknown"
    BLIND = "blind"


class GateEvaluation(Model):
    """One look at one gate."""

    metric: Metric
    threshold: float
    n: int
    bad: int
    verdict: GateVerdict
    reason: str
    on_failure: GateFailureAction


class RolloutAction(StrEnum):
    """What a look at the gates leads to."""

    ADVANCE = "advance"
    HOLD = "hold"
    ROLLBACK = "rollback"
    PAUSE = "pause"


class RolloutDecision(Model):
    """What to do now, why, and when to look again.

    Attributes:
        needs_approval: whether only a person's yes is missing.
    """

    action: RolloutAction
    reason: str
    next_at: Moment
    needs_approval: bool = False
    evaluations: tuple[GateEvaluation, ...] = ()


class GateLogEntry(Model):
    """One look at the gates of one stage, as the store remembers it."""

    rollout_id: str
    stage: str
    at: Moment
    decision: RolloutDecision


class RolloutStatus(StrEnum):
    """Where a rollout stands."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    ROLLED_BACK = "rolled_back"


ROLLOUT_TRANSITIONS: Mapping[RolloutStatus, frozenset[RolloutStatus]] = {
    RolloutStatus.PENDING: frozenset({RolloutStatus.RUNNING, RolloutStatus.ROLLED_BACK}),
    RolloutStatus.RUNNING: frozenset({RolloutStatus.PAUSED, RolloutStatus.COMPLETE, RolloutStatus.ROLLED_BACK}),
    RolloutStatus.PAUSED: frozenset({RolloutStatus.RUNNING, RolloutStatus.ROLLED_BACK}),
    RolloutStatus.COMPLETE: frozenset({RolloutStatus.ROLLED_BACK}),
    RolloutStatus.ROLLED_BACK: frozenset(),
}


class StageStatus(StrEnum):
    """How a stage ended, or that it has not."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    NEEDS_ATTENTION = "needs_attention"


class StageRecord(Model):
    """What happened in one stage."""

    name: str
    share: Share
    status: StageStatus
    started_at: Moment
    ended_at: Moment | None = None
    n: int = 0
    bad: int = 0
    reason: str = ""


class StageState(Model):
    """What a decision needs to know of the stage that is running.

    Attributes:
        index: position in the plan.
        paused_for: time already spent paused in this stage; it does not count towards its duration.
        approved: whether a person has agreed to leave the stage.
        blind_since: since when no gate had a source to trust.
        resumed_at: when a person last looked at a pause and let the stage go on; what they saw does not pause it again
            until the stage has lasted its longest once more.
    """

    index: int = Field(ge=0)
    started_at: Moment
    paused: bool = False
    paused_for: timedelta = timedelta(0)
    approved: bool = False
    abort_reason: str | None = None
    blind_since: Moment | None = None
    resumed_at: Moment | None = None


class Rollout(Model):
    """One rollout, as the store remembers it.

    Attributes:
        strategy: how the candidate comes into service (3.4).
    """

    id: str
    upgrade_id: str
    capability: str
    control: PluginVersion | None
    candidate: PluginVersion
    plan: RolloutConfiguration
    status: RolloutStatus
    stages: tuple[StageRecord, ...] = ()
    reason: str = ""
    host: str = "local"
    strategy: LoadingStrategy = LoadingStrategy.CANARY


class RolloutResult(Model):
    """How a rollout ended."""

    status: RolloutStatus
    reason: str
    stages: tuple[StageRecord, ...] = ()
