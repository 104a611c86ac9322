"""Sizing: what a gate needs is what proves it, and a plan says beforehand what it cannot prove."""

from __future__ import annotations

from datetime import timedelta
from math import log
from typing import Any

import pytest

from domain.rollouts import RolloutConfiguration
from domain.sizing import GateSize
from engines.evidence import log_e_below
from engines.sizing import size, warnings

GATE = {"metric": "error_rate", "threshold": 0.005, "evaluation_window": "PT2H"}


def plan(**stage: Any) -> RolloutConfiguration:
    first = {"name": "internal", "traffic_percentage": 0, "duration": "PT24H", "gates": [GATE]}
    canary = {"name": "canary", "traffic_percentage": 5, "duration": "PT48H", **stage}
    everyone = {"name": "everyone", "traffic_percentage": 100, "duration": "PT168H"}
    return RolloutConfiguration.model_validate({"name": "test", "stages": [first, canary, everyone]})


def canary_at(calls_per_hour: float, **stage: Any) -> GateSize:
    return next(one for one in size(plan(**stage), calls_per_hour) if one.stage == "canary")


def test_a_gate_needs_what_proves_it_without_a_bad_call() -> None:
    needed = canary_at(10).needed
    assert log_e_below(0.005, needed, 0) >= log(20) > log_e_below(0.005, needed - 1, 0)


def test_what_it_gets_is_its_share_of_all_calls_in_its_longest_time() -> None:
    assert canary_at(100).expected == pytest.approx(100 * 0.05 * 144)
    assert canary_at(100, max_duration="PT50H", warm_up="PT2H").expected == pytest.approx(100 * 0.05 * 48)


@pytest.mark.parametrize(("calls", "provable"), [(105, True), (104, False)])
def test_it_is_provable_when_it_gets_what_it_needs(calls: float, provable: bool) -> None:
    assert canary_at(calls).provable is provable


def test_what_would_be_enough_is_enough() -> None:
    short = canary_at(20)
    assert short.share is not None
    assert short.duration is not None
    assert canary_at(20, traffic_percentage=100 * short.share + 0.01).provable
    assert canary_at(20, max_duration=short.duration + timedelta(minutes=1)).provable
    assert "a share of 26% or 31.5 days" in next(warnings([short]))


def test_where_all_calls_are_too_few_only_time_helps() -> None:
    assert canary_at(5).share is None
    assert next(warnings([canary_at(5)])).endswith("Enough would be 126.0 days.")
    assert next(warnings([canary_at(0)])).endswith("No call has been seen yet.")


def test_a_gate_that_wants_more_needs_calls_of_that_kind() -> None:
    above = {**GATE, "threshold": 0.9, "condition": "greater_than"}
    wanted = canary_at(1, gates=[above])
    assert wanted.needed == canary_at(1, gates=[{**GATE, "threshold": 0.1}]).needed
    assert "error_rate above 0.9 needs" in next(warnings([canary_at(0, gates=[above])]))


def test_a_gate_against_the_control_is_sized_by_its_floor() -> None:
    relative = {**GATE, "threshold": 2, "floor": 0.005, "condition": "relative_to_control"}
    assert canary_at(10, gates=[relative]).needed == canary_at(10).needed
    assert "relative to the control by at most 2 needs" in next(warnings([canary_at(0, gates=[relative])]))


def test_a_larger_minimum_is_needed_too() -> None:
    assert canary_at(10, min_calls=5_000).needed == 5_000


def test_nothing_is_said_of_a_stage_that_only_its_target_callers_reach() -> None:
    assert {one.stage for one in size(plan(), 1_000)} == {"canary", "everyone"}
    assert list(warnings(size(plan(), 1_000))) == []
