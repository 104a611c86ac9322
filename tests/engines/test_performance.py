"""Spec 7.3, regression limits: the spec's factors, floors under them, and no data is no pass.

References: figures computed by hand in the tests; `numpy.percentile(method="inverted_cdf")` for the percentiles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.performance import (
    CallMeasurement,
    HostUsage,
    PerformanceLimits,
    PerformanceMetrics,
    Severity,
)
from engines.performance import compare, metrics, percentile, regressions

LIMITS = PerformanceLimits()


def figures(**fields: Any) -> PerformanceMetrics:
    defaults = {"calls": 50, "latency_p95": 100.0, "error_rate": 0.0, "cpu_usage_percent": 20.0}
    return PerformanceMetrics.model_validate({**defaults, **fields})


def found(before: PerformanceMetrics, now: PerformanceMetrics) -> dict[str, Severity]:
    return {regression.metric: regression.severity for regression in regressions(before, now, LIMITS)}


@given(st.lists(st.floats(0, 1e6), min_size=1), st.integers(1, 100))
def test_percentiles_are_the_inverse_of_the_empirical_distribution(values: list[float], percent: int) -> None:
    assert percentile(sorted(values), percent) == np.percentile(values, percent, method="inverted_cdf")


def test_metrics_of_measured_calls() -> None:
    calls = [CallMeasurement(ok=True, duration_ms=float(ms)) for ms in range(1, 20)]
    calls.append(CallMeasurement(ok=False, duration_ms=500, timed_out=True))
    measured = metrics(calls, HostUsage(wall_seconds=2, cpu_seconds=0.5, memory_mb=30, start_ms=80))

    assert (measured.calls, measured.latency_p50, measured.latency_p95, measured.latency_max) == (20, 10, 19, 500)
    assert (measured.requests_per_second, measured.cpu_usage_percent) == (10, 25)
    assert (measured.error_rate, measured.timeout_rate) == (0.05, 0.05)


def test_what_was_not_measured_is_none_and_never_zero() -> None:
    measured = metrics([])

    assert measured.calls == 0
    assert all(value is None for name, value in measured.model_dump().items() if name != "calls")


@pytest.mark.parametrize(
    ("p95", "expected"),
    [(100, {}), (120, {}), (121, {"latency_p95": Severity.MEDIUM}), (151, {"latency_p95": Severity.HIGH})],
)
def test_p95_may_be_a_fifth_slower(p95: float, expected: dict[str, Severity]) -> None:
    assert found(figures(), figures(latency_p95=p95)) == expected


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (0.02, 0.04, {}),
        (0.02, 0.041, {"error_rate": Severity.HIGH}),
        (0.02, 0.06, {"error_rate": Severity.CRITICAL}),
        (0.0, 0.01, {}),
        (0.0, 0.011, {"error_rate": Severity.HIGH}),
    ],
)
def test_errors_may_double_above_their_floor(before: float, now: float, expected: dict[str, Severity]) -> None:
    assert found(figures(error_rate=before), figures(error_rate=now)) == expected


@pytest.mark.parametrize(("now", "regressed"), [(26.0, False), (26.1, True)])
def test_cpu_may_rise_by_three_tenths(now: float, regressed: bool) -> None:
    assert (found(figures(), figures(cpu_usage_percent=now)) == {"cpu_usage": Severity.MEDIUM}) is regressed


def test_differences_in_the_noise_of_a_busy_host_are_no_regression() -> None:
    before = figures(latency_p95=1.0, cpu_usage_percent=1.0)

    assert found(before, figures(latency_p95=5.9, cpu_usage_percent=5.9)) == {}


def test_a_candidate_within_all_limits_meets_the_criteria() -> None:
    assessment = compare(figures(latency_p95=110), figures(), LIMITS)

    assert assessment.meets_criteria
    assert assessment.reasons == ("50 calls meet all limits.",)


def test_a_regression_is_named_with_its_figures() -> None:
    assessment = compare(figures(latency_p95=200), figures(), LIMITS)

    assert not assessment.meets_criteria
    assert assessment.reasons == ("latency_p95 rose from 100 to 200 (high).",)


@pytest.mark.parametrize("name", ["latency_p95", "error_rate"])
@pytest.mark.parametrize("side", ["candidate", "baseline"])
def test_no_data_does_not_meet_the_criteria(name: str, side: str) -> None:
    blind, sound = figures(**{name: None}), figures()
    pair = (blind, sound) if side == "candidate" else (sound, blind)

    assert not compare(*pair, LIMITS).meets_criteria


def test_no_calls_do_not_meet_the_criteria() -> None:
    assert not compare(metrics([]), figures(), LIMITS).meets_criteria
    assert not compare(metrics([]), None, LIMITS).meets_criteria


def test_too_few_calls_do_not_meet_the_criteria() -> None:
    assert not compare(figures(calls=9), figures(), PerformanceLimits(min_calls=10)).meets_criteria


def test_cpu_that_was_not_taken_is_named_and_not_judged() -> None:
    assessment = compare(figures(cpu_usage_percent=None), figures(), LIMITS)

    assert assessment.meets_criteria
    assert "CPU was not measured" in assessment.reasons[1]


def test_a_new_capability_must_answer_all_its_golden_calls() -> None:
    assert compare(figures(latency_p95=9_000), None, LIMITS).meets_criteria
    assert not compare(figures(error_rate=0.02), None, LIMITS).meets_criteria


@given(st.floats(0, 1e4), st.floats(0, 1e4), st.floats(1, 3))
def test_getting_slower_never_mends_a_regression(before: float, now: float, factor: float) -> None:
    slower = found(figures(latency_p95=before), figures(latency_p95=now * factor))

    if found(figures(latency_p95=before), figures(latency_p95=now)):
        assert slower
