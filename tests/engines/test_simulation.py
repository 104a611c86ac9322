"""What a plan does with recorded counts: the rollout's own judgement, look by look, and every event of a trace."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.rollouts import GateVerdict, RolloutAction, RolloutConfiguration
from domain.simulation import Simulation, SimulationOutcome, TraceLine
from engines.simulation import simulate

HOUR = 3_600
GATE = {"metric": "error_rate", "threshold": 0.05, "evaluation_window": "PT1H"}
SOME = {"name": "some", "traffic_percentage": 10, "duration": "PT4H", "gates": [GATE]}
PLAN = RolloutConfiguration.model_validate(
    {
        "name": "small",
        "check_every": "PT30M",
        "stages": [SOME, {"name": "all", "traffic_percentage": 100, "duration": "PT2H"}],
    }
)


def counts(hour: float, n: int = 40, bad: int = 0, **more: Any) -> dict[str, Any]:
    return {"at": hour * HOUR, "metric": "error_rate", "n": n, "bad": bad, **more}


def event(hour: float, kind: str) -> dict[str, Any]:
    return {"at": hour * HOUR, "event": kind}


def told(*lines: dict[str, Any], plan: RolloutConfiguration = PLAN) -> Simulation:
    return simulate(plan, [TraceLine.model_validate(line) for line in lines])


def steps(simulation: Simulation) -> list[tuple[float, str, str]]:
    """Return the looks that did something: hour, stage and action."""
    return [(one.at / HOUR, one.stage, one.action) for one in simulation.decisions if one.action != "hold"]


def test_good_counts_go_through_every_stage() -> None:
    simulation = told(*(counts(hour) for hour in range(1, 9)))
    assert steps(simulation) == [(4, "some", "advance"), (6, "all", "advance")]
    assert simulation.outcome is SimulationOutcome.COMPLETE


def test_bad_counts_take_it_back_the_moment_they_prove_it() -> None:
    simulation = told(counts(1), counts(2), counts(3, bad=12), counts(4))
    assert steps(simulation) == [(3, "some", "rollback")]
    assert simulation.outcome is SimulationOutcome.ROLLED_BACK
    assert simulation.decisions[-1].verdict is GateVerdict.PROVED_BAD
    assert "12 bad of 120 calls" in simulation.decisions[-1].reason


def test_it_looks_when_the_rollout_would_and_whenever_there_is_news() -> None:
    assert [look.at / HOUR for look in told(counts(0.75), counts(1.4)).decisions] == [0, 0.5, 0.75, 1.25, 1.4]


def test_silence_never_passes_and_pauses_in_the_end() -> None:
    simulation = told(event(13, "resume"), counts(14, n=0))
    assert {look.verdict for look in simulation.decisions} == {GateVerdict.UNKNOWN}
    assert steps(simulation)[0] == (12, "some", "pause")
    assert all(look.action is not RolloutAction.ADVANCE for look in simulation.decisions)


@pytest.mark.parametrize("kind", ["provider_error", "stale"])
def test_a_source_that_is_lost_makes_blind_until_it_counts_again(kind: str) -> None:
    simulation = told(counts(1, n=100), event(1.1, kind), counts(2.4, n=100), counts(4, n=0))
    seen = {look.at / HOUR: look.verdict for look in simulation.decisions}
    assert seen[2.1] is GateVerdict.BLIND
    assert seen[2.4] is GateVerdict.PROVED_GOOD
    assert steps(simulation) == [(4, "some", "advance")]


def test_a_source_that_stays_lost_pauses_after_two_hours() -> None:
    simulation = told(counts(1, n=100), event(1.1, "provider_error"), event(3.5, "provider_error"))
    assert steps(simulation)[0] == (3.1, "some", "pause")
    assert simulation.outcome is SimulationOutcome.PAUSED


def test_a_pause_stops_the_clock_and_not_the_watch() -> None:
    good = [counts(hour) for hour in range(1, 9)]
    assert (5, "some", "advance") in steps(told(event(0.5, "pause"), event(1.5, "resume"), *good))
    watched = told(event(0.5, "pause"), counts(1, bad=20))
    assert steps(watched)[-1] == (1, "some", "rollback")


def test_an_abort_beats_everything() -> None:
    simulation = told(*(counts(hour) for hour in (1, 2, 3)), event(3, "abort"))
    assert steps(simulation) == [(3, "some", "rollback")]
    assert "Aborted" in simulation.decisions[-1].reason


def test_a_person_who_is_asked_is_asked_last() -> None:
    stage = {**SOME, "traffic_percentage": 100, "requires_approval": True}
    plan = RolloutConfiguration.model_validate({"name": "asking", "stages": [stage]})
    good = [counts(hour) for hour in (1, 2, 3, 4, 5)]
    assert told(*good, plan=plan).outcome is SimulationOutcome.RUNNING
    assert steps(told(*good, event(4.5, "approve"), plan=plan)) == [(4.5, "some", "advance")]


def test_counts_of_another_stage_or_of_the_control_are_no_counts_of_this_one() -> None:
    others = [counts(hour, n=1_000, stage="all") for hour in (1, 2, 3)]
    others += [counts(hour, n=1_000, variant="control") for hour in (1, 2, 3)]
    assert {look.verdict for look in told(*others).decisions} == {GateVerdict.UNKNOWN}


def test_a_candidate_is_judged_against_the_control_of_the_same_time() -> None:
    gate = {**GATE, "condition": "relative_to_control", "threshold": 2}
    stage = {**SOME, "traffic_percentage": 100, "gates": [gate]}
    plan = RolloutConfiguration.model_validate({"name": "relative", "stages": [stage]})
    own = [counts(hour, n=100, bad=20) for hour in (1, 2, 3, 4)]
    outage = [counts(hour, n=900, bad=180, variant="control") for hour in (1, 2, 3, 4)]
    calm = [counts(hour, n=900, bad=1, variant="control") for hour in (1, 2, 3, 4)]
    assert told(*own, *outage, plan=plan).outcome is not SimulationOutcome.ROLLED_BACK
    assert told(*own, *calm, plan=plan).outcome is SimulationOutcome.ROLLED_BACK


def test_a_stage_without_gates_passes_on_calls() -> None:
    stage = {"name": "open", "traffic_percentage": 100, "duration": "PT2H"}
    plan = RolloutConfiguration.model_validate({"name": "open", "stages": [stage]})
    assert told(counts(1, n=1), counts(2, n=0), plan=plan).outcome is SimulationOutcome.COMPLETE
    assert told(counts(1, n=0), counts(2, n=0), plan=plan).outcome is SimulationOutcome.RUNNING


def test_a_trace_without_lines_is_one_look() -> None:
    simulation = told()
    assert [look.at for look in simulation.decisions] == [0]
    assert simulation.outcome is SimulationOutcome.RUNNING


@pytest.mark.parametrize(
    "line",
    [
        {"at": 1},
        {"at": 1, "event": "abort", "metric": "error_rate"},
        {"at": -1, "event": "abort"},
        {"at": 1, "metric": "error_rate", "n": 1, "bad": 2},
        {"at": 1, "metric": "smell", "n": 1, "bad": 0},
    ],
)
def test_a_line_that_says_nothing_clear_is_refused(line: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        TraceLine.model_validate(line)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60), st.integers(0, 60)), max_size=30), st.randoms())
def test_the_order_of_the_lines_does_not_matter_and_no_look_goes_back_in_time(
    rows: list[tuple[int, int, int]], shuffled: Any
) -> None:
    lines = [counts(hour, n=max(n, bad), bad=min(n, bad)) for hour, n, bad in {row[0]: row for row in rows}.values()]
    first = told(*lines)
    shuffled.shuffle(lines)
    assert told(*lines) == first
    times = [look.at for look in first.decisions]
    assert times == sorted(times)
