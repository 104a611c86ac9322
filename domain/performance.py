"""Spec 7.2, PerformanceMetrics - decides what is measured of a version before and after it serves.

Rules:
- Latencies are milliseconds, rates are in [0, 1]; a figure that could not be taken is None, never 0.

Not here: the comparison (`engines/performance.py`), the measuring (`activities/performance.py`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.base import Model, Share
from domain.experiments import PairedOutcome


class Severity(StrEnum):
    """How bad a regression is."""

    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class PerformanceMetrics(Model):
    """One version under its golden calls and recorded samples, alone on the host."""

    calls: int = Field(ge=0)
    latency_p50: float | None = None
    latency_p95: float | None = None
    latency_p99: float | None = None
    latency_max: float | None = None
    requests_per_second: float | None = None
    cpu_usage_percent: float | None = None
    memory_usage_mb: float | None = None
    error_rate: Share | None = None
    timeout_rate: Share | None = None
    start_ms: float | None = None


class Regression(Model):
    """One metric that got worse than the limits of 7.3 allow."""

    metric: str
    baseline: float
    current: float
    severity: Severity


class CallMeasurement(Model):
    """One measured call."""

    ok: bool
    duration_ms: float = Field(ge=0)
    timed_out: bool = False


class HostUsage(Model):
    """What a version used while its calls were measured; None where it could not be taken."""

    wall_seconds: float | None = Field(default=None, gt=0)
    cpu_seconds: float | None = Field(default=None, ge=0)
    memory_mb: float | None = Field(default=None, ge=0)
    start_ms: float | None = Field(default=None, ge=0)


class PerformanceLimits(Model):
    """How much worse a candidate may be (7.3).

    Attributes:
        error_rate_floor: error rate that is no regression even over a baseline without errors.
        latency_floor_ms, cpu_floor_percent: differences too small to be told from the noise of a busy host.
        min_calls: measured calls of each version without which nothing is concluded.
    """

    max_latency_regression_percent: float = Field(default=20.0, ge=0)
    max_error_rate_regression_multiplier: float = Field(default=2.0, ge=1)
    max_cpu_regression_percent: float = Field(default=30.0, ge=0)
    error_rate_floor: Share = 0.01
    latency_floor_ms: float = Field(default=5.0, ge=0)
    cpu_floor_percent: float = Field(default=5.0, ge=0)
    min_calls: int = Field(default=1, ge=1)


class PerformanceAssessment(Model):
    """Both versions, measured side by side, and what the comparison says."""

    candidate: PerformanceMetrics
    baseline: PerformanceMetrics | None = None
    pairs: tuple[PairedOutcome, ...] = ()
    regressions: tuple[Regression, ...] = ()
    meets_criteria: bool
    reasons: tuple[str, ...]
