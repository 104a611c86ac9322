"""Appendix A, estimates: each is a share, each grows with what should make it grow, and nothing else moves it."""

from __future__ import annotations

from itertools import pairwise
from math import isclose, prod
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contracts import PluginPackage
from domain.gaps import GapSource
from domain.patterns import PatternScores
from engines.estimates import (
    alignment_of,
    complexity_of,
    joined,
    risk_of,
    saturated,
    strategic_fit,
    value_of_gap,
    value_of_pattern,
)
from engines.patterns import bottlenecks
from tests.engines.factories import contract, gap, method, package, usage

SHARES = st.floats(0, 1)
OLD = package("text", "1.4.2")


def provided(**fields: Any) -> list[dict[str, Any]]:
    return [{"name": "text", "version": "1.0.0", "methods": [method(**fields)]}]


def risk(version: str = "1.4.3", **fields: Any) -> float:
    return risk_of(package("text", version, **fields), OLD.contract)


@given(st.lists(SHARES, max_size=6), SHARES)
def test_joined_contributions_only_ever_raise_the_whole(contributions: list[float], another: float) -> None:
    whole = joined(contributions)

    assert isclose(whole, 1 - prod(1 - each for each in contributions))
    assert 0 <= whole <= joined([*contributions, another]) + 1e-12 <= 1 + 1e-12
    assert whole >= max(contributions, default=0.0) - 1e-12


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(1e-3, 1e6))
def test_a_count_weighs_more_the_more_there_is_and_never_one(one: float, other: float, half: float) -> None:
    low, high = sorted((one, other))

    assert 0 <= saturated(low, half) <= saturated(high, half) <= 1
    assert isclose(saturated(half, half), 0.5)


@given(SHARES, SHARES)
def test_the_value_of_a_pattern_is_what_1_3_says_of_frequency_and_impact(frequency: float, impact: float) -> None:
    (found,) = bottlenecks([usage()], 1)
    scored = found.model_copy(
        update={"scores": PatternScores(frequency=frequency, impact=impact, complexity=0.9, risk=0.9)}
    )

    assert isclose(value_of_pattern(scored), (0.25 * frequency + 0.35 * impact) / 0.6, abs_tol=1e-12)
    assert 0 <= value_of_pattern(scored) <= 1 + 1e-12


@given(SHARES, SHARES, SHARES, SHARES)
def test_the_value_of_a_gap_is_what_2_3_says_of_users_and_business(
    frequency: float, satisfaction: float, revenue: float, efficiency: float
) -> None:
    found = gap(
        user_request_frequency=frequency,
        user_satisfaction_impact=satisfaction,
        revenue_impact=revenue,
        efficiency_gain=efficiency,
        roadmap_alignment=1.0,
        implementation_complexity=1.0,
    )
    plain = (0.30 * frequency * satisfaction + 0.25 * (revenue + efficiency)) / 0.55

    assert isclose(value_of_gap(found), min(1.0, plain), abs_tol=1e-12)


def test_a_package_is_the_more_complex_the_more_there_is_to_take_in() -> None:
    plain = complexity_of(package(size_bytes=2_000))
    interface = {"name": "text", "version": "1.0.0", "methods": [method("one"), method("two")]}

    assert plain < complexity_of(package(size_bytes=50_000))
    assert plain < complexity_of(package(size_bytes=2_000, provided_interfaces=[interface]))
    assert plain < complexity_of(package(size_bytes=2_000, dependencies={"dates": "^1"}))
    assert plain < complexity_of(package(size_bytes=2_000, required_interfaces=[{"name": "dates"}]))
    assert isclose(plain, joined((2_000 / 52_000, 1 / 21, 0.0)))


def test_the_wider_the_step_the_higher_the_risk() -> None:
    steps = [risk(version) for version in ("1.4.3", "1.5.0", "2.0.0")]

    assert all(smaller < greater for smaller, greater in pairwise(steps))


@pytest.mark.parametrize("version", ["1.4.3", "1.4.3-beta.1", "1.4.2+other"])
def test_a_step_within_one_minor_version_is_the_smallest(version: str) -> None:
    assert isclose(risk(version), joined((0.02, 0.05)))


def test_what_cannot_be_called_twice_is_riskier() -> None:
    steps = [risk(provided_interfaces=provided(side_effects=effect)) for effect in ("none", "idempotent", "unsafe")]

    assert all(smaller < greater for smaller, greater in pairwise(steps))


@pytest.mark.parametrize(
    "profile",
    [
        {"permissions": ["files"]},
        {"read_paths": ["data"]},
        {"write_paths": ["data"]},
        {"network_hosts": ["example.org"]},
        {"environment": ["HOME"]},
        {"subprocess": True},
    ],
    ids=lambda profile: next(iter(profile)),
)
def test_whatever_a_package_newly_asks_to_touch_is_a_risk(profile: dict[str, Any]) -> None:
    wanting = package("text", "1.4.3", security_profile=profile)
    had_it = contract("text", "1.4.2", security_profile=profile)

    assert risk_of(wanting, OLD.contract) > risk()
    assert risk_of(wanting, had_it) == risk()


def test_asking_for_child_processes_weighs_as_three_other_wishes() -> None:
    assert risk(security_profile={"subprocess": True}) == risk(security_profile={"environment": ["A", "B", "C"]})


def test_a_new_capability_has_no_callers_to_lose() -> None:
    new = package("currency", "9.0.0")

    assert isclose(risk_of(new, None), 0.05)


@given(st.integers(0, 10**9), st.integers(0, 30), st.booleans())
def test_complexity_and_risk_are_shares(size: int, hosts: int, subprocess: bool) -> None:
    profile = {"network_hosts": [f"host{number}" for number in range(hosts)], "subprocess": subprocess}
    found: PluginPackage = package("text", "2.0.0", size_bytes=size, security_profile=profile)

    assert 0 <= complexity_of(found) < 1
    assert 0 <= risk_of(found, OLD.contract) < 1


@pytest.mark.parametrize(
    ("keywords", "fit"), [([], 0.5), (["invoices"], 0.25), (["invoices", "currency rates"], 1.0), (["Currencies"], 1.0)]
)
def test_strategy_is_met_missed_or_unknown(keywords: list[str], fit: float) -> None:
    assert strategic_fit(frozenset({"currency", "convert"}), keywords) == fit


def test_what_a_person_asked_for_is_aligned_at_least_by_three_quarters() -> None:
    asked, failed = gap(), gap(GapSource.TASK_FAILURE)

    assert alignment_of("convert currency", [failed], ["invoices"]) == 0.25
    assert alignment_of("convert currency", [failed, asked], ["invoices"]) == 0.75
    assert alignment_of("convert currency", [asked], ["currency"]) == 1.0
    assert alignment_of("convert currency", [], []) == 0.5
