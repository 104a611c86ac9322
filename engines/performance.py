"""Spec 7.3, regression limits - decides whether a candidate performs well enough to go on.

Rules:
- p95 may be 20 % slower, errors twice as frequent, CPU 30 % higher than the baseline's; the settings hold the numbers.
- Each limit has a floor below which a difference is noise: without it one error over none would be a regression.
- A figure that was not taken is named and not judged; without calls, p95 or error rate nothing meets the criteria.
- A new capability has no baseline: all its golden calls must succeed.

Not here: measuring (`activities/performance.py`), answers that differ (`engines/experiments.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from domain.experiments import PairedOutcome
from domain.performance import (
    CallMeasurement,
    HostUsage,
    PerformanceAssessment,
    PerformanceLimits,
    PerformanceMetrics,
    Regression,
    Severity,
)


def metrics(calls: Sequence[CallMeasurement], usage: HostUsage | None = None) -> PerformanceMetrics:
    """Summarise the measured calls of one version.

    Args:
        calls: measured one after the other.
        usage: what the host saw meanwhile.

    Returns:
        The figures of 7.2; those that need a measurement that is missing are None.
    """
    usage = usage or HostUsage()
    durations = sorted(call.duration_ms for call in calls)
    wall, cpu = usage.wall_seconds, usage.cpu_seconds
    return PerformanceMetrics(
        calls=len(calls),
        latency_p50=percentile(durations, 50),
        latency_p95=percentile(durations, 95),
        latency_p99=percentile(durations, 99),
        latency_max=durations[-1] if durations else None,
        requests_per_second=len(calls) / wall if wall and calls else None,
        cpu_usage_percent=100 * cpu / wall if wall and cpu is not None else None,
        memory_usage_mb=usage.memory_mb,
        error_rate=_share(calls, sum(not call.ok for call in calls)),
        timeout_rate=_share(calls, sum(call.timed_out for call in calls)),
        start_ms=usage.start_ms,
    )


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Return the smallest value that at least `percent` % of the values do not exceed (nearest rank); None of none.

    Args:
        ordered: values in ascending order.
        percent: 1 to 100.
    """
    return ordered[ceil(len(ordered) * percent / 100) - 1] if ordered else None


def compare(
    candidate: PerformanceMetrics,
    baseline: PerformanceMetrics | None,
    limits: PerformanceLimits,
    pairs: Sequence[PairedOutcome] = (),
) -> PerformanceAssessment:
    """Hold a candidate against the version it would replace, or against health alone.

    Args:
        candidate: its figures.
        baseline: figures of the control under the same calls, None for a new capability.
        limits: how much worse it may be.
        pairs: call by call results, kept with the assessment.

    Returns:
        Whether the criteria are met, with a sentence for each reason.
    """
    missing = _missing("candidate", candidate, limits)
    if baseline is None:
        found: tuple[Regression, ...] = ()
        reasons = missing or _health(candidate)
    else:
        missing += _missing("baseline", baseline, limits)
        found = () if missing else regressions(baseline, candidate, limits)
        reasons = missing or tuple(_sentence(regression) for regression in found)
    meets = not reasons
    notes = (*reasons, *_unmeasured(candidate, baseline))
    return PerformanceAssessment(
        candidate=candidate,
        baseline=baseline,
        pairs=tuple(pairs),
        regressions=found,
        meets_criteria=meets,
        reasons=(f"{candidate.calls} calls meet all limits.", *notes) if meets else notes,
    )


def regressions(
    baseline: PerformanceMetrics, current: PerformanceMetrics, limits: PerformanceLimits
) -> tuple[Regression, ...]:
    """Return the metrics that got worse than the limits allow, with the severities of 7.3."""
    found = (_latency(baseline, current, limits), _errors(baseline, current, limits), _cpu(baseline, current, limits))
    return tuple(regression for regression in found if regression is not None)


def _latency(before: PerformanceMetrics, now: PerformanceMetrics, limits: PerformanceLimits) -> Regression | None:
    old, new = before.latency_p95, now.latency_p95
    if old is None or new is None:
        return None
    allowed = max(old * (1 + limits.max_latency_regression_percent / 100), old + limits.latency_floor_ms)
    severity = Severity.HIGH if new > 1.5 * old else Severity.MEDIUM
    return _regression("latency_p95", (old, new), allowed, severity)


def _errors(before: PerformanceMetrics, now: PerformanceMetrics, limits: PerformanceLimits) -> Regression | None:
    old, new = before.error_rate, now.error_rate
    if old is None or new is None:
        return None
    allowed = max(old * limits.max_error_rate_regression_multiplier, limits.error_rate_floor)
    return _regression("error_rate", (old, new), allowed, Severity.CRITICAL if new > 0.05 else Severity.HIGH)


def _cpu(before: PerformanceMetrics, now: PerformanceMetrics, limits: PerformanceLimits) -> Regression | None:
    old, new = before.cpu_usage_percent, now.cpu_usage_percent
    if old is None or new is None:
        return None
    allowed = max(old * (1 + limits.max_cpu_regression_percent / 100), old + limits.cpu_floor_percent)
    return _regression("cpu_usage", (old, new), allowed, Severity.MEDIUM)


def _regression(metric: str, values: tuple[float, float], allowed: float, severity: Severity) -> Regression | None:
    old, new = values
    return Regression(metric=metric, baseline=old, current=new, severity=severity) if new > allowed else None


def _missing(name: str, measured: PerformanceMetrics, limits: PerformanceLimits) -> tuple[str, ...]:
    if measured.calls < limits.min_calls:
        return (f"The {name} has {measured.calls} measured calls; at least {limits.min_calls} are needed.",)
    figures = {"p95": measured.latency_p95, "error rate": measured.error_rate}
    return tuple(f"The {name} has no {figure}." for figure, value in figures.items() if value is None)


def _health(candidate: PerformanceMetrics) -> tuple[str, ...]:
    if candidate.error_rate == 0:
        return ()
    return (f"{candidate.error_rate:.1%} of a new capability's golden calls failed; all must succeed.",)


def _unmeasured(candidate: PerformanceMetrics, baseline: PerformanceMetrics | None) -> tuple[str, ...]:
    if baseline is None or None not in (candidate.cpu_usage_percent, baseline.cpu_usage_percent):
        return ()
    return ("CPU was not measured for both versions and is not judged.",)


def _sentence(regression: Regression) -> str:
    return (
        f"{regression.metric} rose from {regression.baseline:.4g} to {regression.current:.4g} ({regression.severity})."
    )


def _share(calls: Sequence[CallMeasurement], count: int) -> float | None:
    return count / len(calls) if calls else None
