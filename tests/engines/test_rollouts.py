"""Spec 5.1 and 5.2, progression: harm wins over everything but an abort, and nothing advances on silence or on time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.rollouts import (
    Evidence,
    GateFailureAction,
    GateVerdict,
    Metric,
    RolloutAction,
    RolloutConfiguration,
    RolloutDecision,
    Sample,
    StageState,
)
from engines.rollouts import decide
from tests.engines.factories import HOUR, NOW

GATE: dict[str, Any] = {"metric": "error_rate", "threshold": 0.01, "evaluation_window": HOUR}


def plan(**stage: Any) -> RolloutConfiguration:
    first = {"name": "canary", "traffic_percentage": 5, "duration": 48 * HOUR, "gates": [GATE], **stage}
    last = {"name": "all", "traffic_percentage": 100, "duration": 168 * HOUR}
    return RolloutConfiguration.model_validate({"name": "test", "stages": [first, last]})


def look(
    hours: float,
    n: int,
    bad: int,
    *,
    config: RolloutConfiguration | None = None,
    source_up: bool = True,
    **state: Any,
) -> RolloutDecision:
    now = NOW + hours * HOUR
    current = StageState.model_validate({"index": 0, "started_at": NOW, **state})
    samples = (counts(n, bad, now, source_up=source_up),)
    return decide(config or plan(), current, Evidence(samples=samples), now)


def counts(n: int, bad: int, now: datetime, **fields: Any) -> Sample:
    return Sample.model_validate(
        {"metric": Metric.ERROR_RATE, "n": n, "bad": bad, "window_start": NOW, "window_end": now, **fields}
    )


def test_proved_good_and_old_enough_advances() -> None:
    decision = look(48, 500, 0)

    assert decision.action is RolloutAction.ADVANCE
    assert decision.next_at == NOW + 48 * HOUR
    assert [gate.verdict for gate in decision.evaluations] == [GateVerdict.PROVED_GOOD]


def test_good_news_waits_for_the_clock_and_the_next_look_meets_it() -> None:
    decision = look(47.9, 5_000, 0)

    assert decision.action is RolloutAction.HOLD
    assert decision.next_at == NOW + 48 * HOUR


def test_a_gate_never_passes_on_silence() -> None:
    assert look(23.9, 0, 0).action is RolloutAction.HOLD
    assert look(23.9, 0, 0).next_at == NOW + 24 * HOUR
    assert look(143, 0, 0, config=plan(no_data_grace=200 * HOUR)).action is RolloutAction.HOLD


@pytest.mark.parametrize(("hours", "stage"), [(24, {}), (2, {"no_data_grace": 2 * HOUR}), (3, {"duration": HOUR})])
def test_a_day_of_silence_or_what_the_stage_says_asks_for_a_person(hours: float, stage: dict[str, Any]) -> None:
    decision = look(hours, 0, 0, config=plan(**stage))

    assert decision.action is RolloutAction.PAUSE
    assert "had no call" in decision.reason


def test_a_person_who_lets_silence_go_on_is_not_asked_again_at_once() -> None:
    assert look(30, 0, 0, resumed_at=NOW + 25 * HOUR).action is RolloutAction.HOLD
    assert look(49, 0, 0, resumed_at=NOW + 25 * HOUR).action is RolloutAction.PAUSE


def test_few_calls_at_the_longest_duration_ask_for_a_person() -> None:
    assert look(143, 5, 0).action is RolloutAction.HOLD
    assert look(144, 5, 0).action is RolloutAction.PAUSE


def test_a_tripwire_is_a_rollback_whatever_the_counts_say_and_whoever_paused() -> None:
    seen = Evidence(samples=(counts(5_000, 0, NOW + 48 * HOUR),), tripwire="It is in quarantine.")
    gentle = plan(auto_rollback={"enabled": False})
    for state in ({}, {"paused": True}):
        current = StageState.model_validate({"index": 0, "started_at": NOW, **state})
        decision = decide(gentle, current, seen, NOW + 48 * HOUR)
        assert decision.action is RolloutAction.ROLLBACK
        assert "It is in quarantine." in decision.reason


def test_what_was_counted_while_it_warmed_up_speaks_neither_for_nor_against_it() -> None:
    warming = plan(warm_up=HOUR)
    bad = [counts(50, 50, NOW + HOUR)]
    good = [counts(5_000, 0, NOW + 48 * HOUR, window_start=NOW + HOUR)]
    state = StageState(index=0, started_at=NOW)

    def action(*samples: Sample) -> RolloutAction:
        return decide(warming, state, Evidence(samples=samples), NOW + 48 * HOUR).action

    assert action(*bad) is RolloutAction.HOLD
    assert action(*bad, *good) is RolloutAction.ADVANCE


def test_a_stage_cannot_be_all_warming_up() -> None:
    with pytest.raises(ValueError, match="warms up"):
        plan(warm_up=48 * HOUR)


def test_no_sample_at_all_is_blindness_and_holds() -> None:
    decision = decide(plan(), StageState(index=0, started_at=NOW), Evidence(), NOW + 49 * HOUR)

    assert decision.action is RolloutAction.HOLD
    assert decision.evaluations[0].verdict is GateVerdict.BLIND


def test_harm_rolls_back_at_once_and_needs_no_minimum_of_calls() -> None:
    decision = look(0.1, 2, 2, config=plan(min_calls=1_000))

    assert decision.action is RolloutAction.ROLLBACK
    assert "2 bad of 2 calls" in decision.reason


def test_harm_whose_failure_means_pause_pauses() -> None:
    gentle = plan(gates=[{**GATE, "on_failure": GateFailureAction.PAUSE}])

    assert look(1, 10, 9, config=gentle).action is RolloutAction.PAUSE


def test_a_rollback_gate_wins_over_a_pause_gate() -> None:
    both = plan(gates=[{**GATE, "threshold": 0.001, "on_failure": GateFailureAction.PAUSE}, GATE])

    assert look(1, 10, 9, config=both).action is RolloutAction.ROLLBACK


def test_without_auto_rollback_harm_is_left_to_a_person() -> None:
    assert look(1, 10, 9, config=plan(auto_rollback={"enabled": False})).action is RolloutAction.PAUSE


def test_an_abort_beats_good_news() -> None:
    decision = look(48, 5_000, 0, abort_reason="owner said so")

    assert decision.action is RolloutAction.ROLLBACK
    assert "owner said so" in decision.reason


def test_a_paused_stage_keeps_watching_and_harm_still_rolls_back() -> None:
    assert look(60, 5_000, 0, paused=True).action is RolloutAction.PAUSE
    assert look(60, 5_000, 500, paused=True).action is RolloutAction.ROLLBACK


def test_time_spent_paused_does_not_count() -> None:
    assert look(50, 5_000, 0, paused_for=3 * HOUR).action is RolloutAction.HOLD
    assert look(51, 5_000, 0, paused_for=3 * HOUR).action is RolloutAction.ADVANCE


def test_a_blind_stage_holds_for_two_hours_and_then_asks_for_a_person() -> None:
    assert look(10, 0, 0, source_up=False, blind_since=NOW + 9 * HOUR).action is RolloutAction.HOLD
    assert look(10, 0, 0, source_up=False, blind_since=NOW + 8 * HOUR).action is RolloutAction.PAUSE


def test_a_blind_stage_does_not_advance_on_old_good_counts() -> None:
    assert look(100, 5_000, 0, source_up=False).action is RolloutAction.HOLD


def test_who_resumes_has_seen_the_pause_and_gets_the_stages_longest_once_more() -> None:
    assert look(145, 0, 0, resumed_at=NOW + 144 * HOUR).action is RolloutAction.HOLD
    assert look(288, 0, 0, resumed_at=NOW + 144 * HOUR).action is RolloutAction.PAUSE


def test_a_resumed_pause_gate_holds_but_never_advances() -> None:
    gentle = plan(gates=[{**GATE, "on_failure": GateFailureAction.PAUSE}])

    assert look(50, 100, 50, config=gentle, resumed_at=NOW + 49 * HOUR).action is RolloutAction.HOLD


def test_approval_is_asked_last() -> None:
    careful = plan(requires_approval=True)
    early, ripe = look(47, 5_000, 0, config=careful), look(48, 5_000, 0, config=careful)

    assert not early.needs_approval
    assert (ripe.action, ripe.needs_approval) == (RolloutAction.HOLD, True)
    assert look(48, 5_000, 0, config=careful, approved=True).action is RolloutAction.ADVANCE
    assert look(48, 5_000, 2_000, config=careful).action is RolloutAction.ROLLBACK


def test_approval_replaces_no_proof() -> None:
    assert look(48, 10, 0, config=plan(requires_approval=True), approved=True).action is RolloutAction.HOLD


def test_a_stage_without_gates_of_its_own_is_judged_by_the_gates_before_it() -> None:
    decision = look(1, 10, 9, index=1)

    assert decision.action is RolloutAction.ROLLBACK
    assert decision.reason.startswith("Stage all failed")


def test_a_plan_without_any_gate_still_needs_its_calls() -> None:
    bare = plan(gates=[], min_calls=10)

    assert look(48, 9, 0, config=bare).action is RolloutAction.HOLD
    assert look(48, 10, 0, config=bare).action is RolloutAction.ADVANCE


def test_a_sample_for_another_threshold_is_not_evidence() -> None:
    now = NOW + 48 * HOUR
    state = StageState(index=0, started_at=NOW)

    other, own = (Evidence(samples=(counts(5_000, 0, now, threshold=limit),)) for limit in (0.5, 0.01))
    assert decide(plan(), state, other, now).action is RolloutAction.HOLD
    assert decide(plan(), state, own, now).action is RolloutAction.ADVANCE


def test_the_next_look_is_never_later_than_the_plans_rhythm() -> None:
    assert look(1, 10, 0).next_at == NOW + HOUR + timedelta(minutes=15)


@given(hours=st.floats(0, 400), index=st.integers(0, 1), paused=st.booleans(), approved=st.booleans())
def test_no_amount_of_time_or_approval_advances_without_calls(
    hours: float, index: int, paused: bool, approved: bool
) -> None:
    decision = look(hours, 0, 0, index=index, paused=paused, approved=approved)

    assert decision.action in {RolloutAction.HOLD, RolloutAction.PAUSE}
    assert decision.next_at > NOW + hours * HOUR


@given(hours=st.floats(0, 400), n=st.integers(1, 3_000), more=st.integers(0, 200), data=st.data())
def test_more_bad_calls_never_make_a_decision_kinder(hours: float, n: int, more: int, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, n))
    before, after = look(hours, n, bad), look(hours, n, min(n, bad + more))
    kindness = [RolloutAction.ROLLBACK, RolloutAction.PAUSE, RolloutAction.HOLD, RolloutAction.ADVANCE]

    assert kindness.index(after.action) <= kindness.index(before.action)


@given(hours=st.floats(0, 400), n=st.integers(0, 3_000), bad=st.integers(0, 3_000), source_up=st.booleans())
def test_every_decision_has_a_reason_and_looks_again(hours: float, n: int, bad: int, source_up: bool) -> None:
    decision = look(hours, n, min(n, bad), source_up=source_up)

    assert decision.reason
    if decision.action in {RolloutAction.HOLD, RolloutAction.PAUSE}:
        assert NOW + hours * HOUR < decision.next_at <= NOW + hours * HOUR + timedelta(minutes=15)


@pytest.mark.parametrize("rate", [0.0, 0.005, 0.02, 1.0])
def test_the_same_counts_give_the_same_decision(rate: float) -> None:
    n = 1_000

    assert look(48, n, int(n * rate)) == look(48, n, int(n * rate))
