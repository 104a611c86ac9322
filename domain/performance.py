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


class PerformanceAssessment(Model):
    """Both versions, measured side by side, and what the comparison says."""

    candidate: PerformanceMetrics
    baseline: PerformanceMetrics | None = None
    pairs: tuple[PairedOutcome, ...] = ()
    regressions: tuple[Regression, ...] = ()
    meets_criteria: bool
    reasons: tuple[str, ...]
