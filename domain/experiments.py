"""Spec 4.1 and 4.2, experiments - decides what an experiment is and how it may live.

Rules:
- DRAFT -> CONFIG -> RUNNING <-> PAUSED -> ANALYSIS -> COMPLETE -> ROLLOUT | ROLLBACK; CANCELLED until it is complete.
- Every measurement carries its counts; an experiment without enough of them is inconclusive, never won.

Not here: the statistics (`engines/experiments.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from domain.base import Model, Moment, Share
from domain.contracts import Name
from domain.routing import PluginVersion


class ExperimentStatus(StrEnum):
    """The lifecycle of 4.2."""

    DRAFT = "draft"
    CONFIG = "config"
    RUNNING = "running"
    PAUSED = "paused"
    ANALYSIS = "analysis"
    COMPLETE = "complete"
    ROLLOUT = "rollout"
    ROLLBACK = "rollback"
    CANCELLED = "cancelled"


EXPERIMENT_TRANSITIONS: Mapping[ExperimentStatus, frozenset[ExperimentStatus]] = {
    ExperimentStatus.DRAFT: frozenset({ExperimentStatus.CONFIG, ExperimentStatus.CANCELLED}),
    ExperimentStatus.CONFIG: frozenset({ExperimentStatus.RUNNING, ExperimentStatus.CANCELLED}),
    ExperimentStatus.RUNNING: frozenset(
        {ExperimentStatus.PAUSED, ExperimentStatus.ANALYSIS, ExperimentStatus.CANCELLED}
    ),
    ExperimentStatus.PAUSED: frozenset({ExperimentStatus.RUNNING, ExperimentStatus.CANCELLED}),
    ExperimentStatus.ANALYSIS: frozenset({ExperimentStatus.COMPLETE, ExperimentStatus.CANCELLED}),
    ExperimentStatus.COMPLETE: frozenset({ExperimentStatus.ROLLOUT, ExperimentStatus.ROLLBACK}),
    ExperimentStatus.ROLLOUT: frozenset(),
    ExperimentStatus.ROLLBACK: frozenset(),
    ExperimentStatus.CANCELLED: frozenset(),
}


class Verdict(StrEnum):
    """What an experiment says at its end."""

    SHIP = "ship"
    ROLLBACK = "rollback"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"


class Hypothesis(Model):
    """What the candidate is expected to change, in one sentence and one metric."""

    statement: str
    metric: str


class CapabilityVariant(Model):
    """One of the versions that an experiment compares."""

    name: str
    version: PluginVersion
    traffic_allocation: Share


class SuccessCriteria(Model):
    """When an experiment counts as won.

    Attributes:
        baseline_rate: error rate of the control, in [0, 1].
        mde: the smallest error-rate difference worth noticing.
        max_latency_regression_percent: how much slower the candidate may be.
        min_pairs: pairs of answers without which nothing is concluded.
        negligible_ms: a mean slowdown nobody notices, whatever its ratio.
        max_duration: how long the experiment may take; one that takes longer is not won.
    """

    baseline_rate: Share = 0.01
    mde: Share = 0.01
    significance_level: Share = 0.05
    power: Share = 0.8
    max_latency_regression_percent: float = Field(default=20.0, ge=0)
    min_pairs: int = Field(default=8, ge=1)
    negligible_ms: float = Field(default=5.0, ge=0)
    max_duration: timedelta = Field(default=timedelta(days=14), gt=timedelta(0))


class PairedOutcome(Model):
    """What both versions did with the same recorded call, run after run interleaved.

    Attributes:
        control_ms, candidate_ms: median duration of the repeated runs, milliseconds.
        same: whether both answers agree under the method's comparator; None if either failed.
    """

    method: str
    control_ok: bool
    candidate_ok: bool
    control_ms: float = Field(ge=0)
    candidate_ms: float = Field(ge=0)
    same: bool | None = None


class ExperimentAnalysis(Model):
    """The statistics of an experiment and the verdict they lead to.

    Attributes:
        latency_ratio: geometric mean of candidate over control duration, pair by pair.
        latency_interval: its confidence interval at the experiment's level.
        broken: pairs in which only the candidate failed; `repaired`: only the control.
        error_p_value: exact McNemar test of `broken` against `repaired`.
    """

    pairs: int = Field(ge=0)
    broken: int = Field(default=0, ge=0)
    repaired: int = Field(default=0, ge=0)
    different: int = Field(default=0, ge=0)
    error_p_value: Share | None = None
    latency_ratio: float | None = None
    latency_interval: tuple[float, float] | None = None
    verdict: Verdict
    reasons: tuple[str, ...]


class Experiment(Model):
    """One comparison of two versions of a capability."""

    id: str
    upgrade_id: str
    capability: Name
    hypothesis: Hypothesis
    variants: tuple[CapabilityVariant, ...] = Field(min_length=2)
    success_criteria: SuccessCriteria
    status: ExperimentStatus = ExperimentStatus.DRAFT
    required_sample_size: int | None = None
    created_at: Moment
    ended_at: Moment | None = None
    analysis: ExperimentAnalysis | None = None
