"""The bounds that the gates' constants must keep on simulated traffic, and what the peers' models do."""

from __future__ import annotations

import pytest

from benchmarks.gate_table import (
    BROKEN,
    CALLS_AN_HOUR,
    JUDGES,
    NEAR,
    SOUND,
    SOUND_HOURS,
    STAGE_HOURS,
    WATCH_HOURS,
    WORSE,
    argo,
    flagger,
    gates,
    main,
    table,
)
from engines.evidence import Counts

OURS = "these gates"


def ours(rates: list[float], calls: int, runs: int, since: int = 0) -> tuple[float, float | None]:
    (row,) = (row for row in table(rates, runs, (calls,), since) if row.judge == OURS)
    return row.taken_back, row.hours


@pytest.mark.parametrize("calls", CALLS_AN_HOUR)
@pytest.mark.parametrize("rate", [SOUND, NEAR])
def test_a_sound_version_is_taken_back_in_at_most_one_of_a_hundred_rollouts(calls: int, rate: float) -> None:
    # 3 of 200 would have a chance of 0.09 at a true rate of 0.5 %, and of 0.32 at 1 %.
    assert ours([rate] * STAGE_HOURS, calls, 200)[0] <= 0.01


def test_ten_percent_of_errors_are_found_within_two_hours() -> None:
    found, hours = ours([BROKEN] * STAGE_HOURS, 25, 200)
    assert found == 1
    assert hours is not None
    assert hours <= 2


def test_a_late_decay_is_found_within_half_a_day() -> None:
    late = [SOUND] * SOUND_HOURS + [WORSE] * (WATCH_HOURS - SOUND_HOURS)
    found, hours = ours(late, 100, 100, SOUND_HOURS)
    assert found == 1
    assert hours is not None
    assert 0 < hours <= 12


def test_counters_of_windows_take_sound_versions_back() -> None:
    rows = {row.judge: row for row in table([SOUND] * STAGE_HOURS, 100, (100,))}
    assert rows["Argo, failureLimit 0"].taken_back > 0.9
    assert rows["Flagger, threshold 5"].taken_back > 0.3


def test_each_judge_tells_the_hour() -> None:
    hours = [Counts(10, 0), Counts(0, 0), Counts(10, 5), Counts(10, 10), Counts(10, 10)]
    assert (argo(0)(hours), argo(3)(hours), flagger(hours), gates(hours)) == (3, None, None, 3)
    assert flagger([Counts(0, 0)] * 6) == 5
    assert gates([Counts(0, 0)] * 6) is None


def test_the_table_is_printed_by_one_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.gate_table.CALLS_AN_HOUR", (25,))
    assert main(["--quick"]) == 0
    printed = capsys.readouterr().out
    assert all(printed.count(name) == 5 for name in JUDGES)
