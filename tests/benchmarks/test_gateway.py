"""Spec 7.1, the benchmark of the door - decides whether it measures what it says, however small its scale."""

from __future__ import annotations

import asyncio
import json
import math
import time
from pathlib import Path

import pytest

from benchmarks import calls, soak, starts
from benchmarks.calls import FASTMCP, FASTMCP_ALONE, PEERS, Cell, Costs, available
from benchmarks.fronts import pipe
from benchmarks.gateway import main
from benchmarks.load import closed_loop, open_loop, percentile
from benchmarks.wire import WrongAnswer, check


async def test_a_closed_loop_counts_failures_and_does_not_time_them() -> None:
    turns = 0

    async def every_second_fails() -> None:
        nonlocal turns
        turns += 1
        await asyncio.sleep(0.001)
        if turns % 2:
            raise WrongAnswer("no")

    timing = await closed_loop([every_second_fails], 0.05)
    assert (timing.calls, timing.failed) == (turns, math.ceil(turns / 2))
    assert timing.p50 >= 1


async def test_a_call_that_had_to_wait_for_its_turn_is_timed_from_when_it_was_due() -> None:
    """One caller that takes 20 ms, asked every 5 ms: each call waits for all before it."""

    async def slow() -> None:
        await asyncio.sleep(0.02)

    shots = await open_loop([slow], rate=200, calls=10)
    assert len(shots) == 10
    assert shots[-1].seconds > shots[0].seconds + 0.1


async def test_an_open_loop_keeps_why_a_call_failed() -> None:
    async def failing() -> None:
        raise WrongAnswer("the connection broke")

    assert {shot.failure for shot in await open_loop([failing], rate=1_000, calls=3)} == {"the connection broke"}


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_a_value_that_was_measured(share: float, expected: int) -> None:
    assert percentile([*range(100, 0, -1)], share) == expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"result": {"isError": false, "structuredContent": {"sum": 41}}}',
        b'{"result": {"isError": true, "structuredContent": {"sum": 42}}}',
        b'{"error": {"code": -32000, "message": "no"}}',
        b"event: message",
    ],
)
def test_an_answer_without_the_sum_is_a_wrong_one(body: bytes) -> None:
    check(b'{"result": {"isError": false, "structuredContent": {"sum": 42}}}')
    with pytest.raises(WrongAnswer):
        check(body)


def test_what_a_way_adds_is_told_against_the_pipe() -> None:
    row = {"pipe": 0.1, "door": 0.6, FASTMCP: 5.1, FASTMCP_ALONE: 8.1}
    costs = Costs({name: {1: Cell(p50, p50, 1, 1, 0)} for name, p50 in row.items()})
    assert costs.added("door") == pytest.approx(0.5)
    assert costs.times_less == pytest.approx({FASTMCP: 10, FASTMCP_ALONE: 16})


async def test_a_pipe_is_open_while_the_block_runs_and_its_time_counts() -> None:
    async with pipe() as front:
        callers = await front.callers(2)
        before, started = front.cpu_seconds(), time.monotonic()
        timing = await closed_loop(callers, 0.3)
        spent = front.cpu_seconds() - before
    assert (timing.failed, timing.calls > 10) == (0, True)
    assert spent <= 2 * (time.monotonic() - started)


async def test_the_door_is_measured_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = [name for name in available() if name not in PEERS]
    monkeypatch.setattr(calls, "available", lambda: ways)
    costs = await calls.measure(seconds=0.2, rounds=1, concurrency=(1, 4))
    assert list(costs.cells) == ["pipe", "bare front", "door"]
    assert all(cell.failed == 0 and cell.p50 > 0 for row in costs.cells.values() for cell in row.values())
    assert len(costs.lines()) == 1 + 6 + 1


async def test_starts_and_memory_are_measured_in_every_tier() -> None:
    measured = await starts.measure(times=1, plugins=2)
    kinds = [(start.tier, start.kind) for start in measured.starts]
    assert kinds == [(tier, kind) for tier in starts.jails() for kind in ("process", "call", "cold", "warm")]
    taken = {start.kind: start.p50 for start in measured.starts}
    assert taken["warm"] < taken["process"]
    (memory,) = measured.memory
    assert (memory.plugins, memory.processes, memory.p50 > 1) == (2, 4, True)


async def test_a_soak_looks_at_the_gateway_again_and_again() -> None:
    soaked = await soak.measure(0.03, 2)
    assert (soaked.failed, soaked.swaps > 0, len(soaked.samples) > 3) == (0, True, True)
    versions_at_once, instance_and_spare, with_walls = 2, 2, 2
    assert {sample.children for sample in soaked.samples} <= set(
        range(2, 2 * versions_at_once * instance_and_spare * with_walls + 1)
    )
    assert all(soaked.change(kind)[1] > 0 for kind in soak.KINDS)


def test_one_command_swaps_under_load_finds_every_call_in_the_ledger_and_writes_the_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "numbers.json"
    assert main(["--only", "swaps", "--calls", "150", "--swaps", "3", "--rate", "150", "--json", str(target)]) == 0
    swapped = json.loads(target.read_text(encoding="utf-8"))["swaps"]
    assert [swapped[key] for key in ("calls", "swaps", "dropped", "unrecorded")] == [150, 3, 0, 0]
    assert 0 < swapped["near"] <= 150
    assert swapped["near_p99"] >= swapped["near_p50"] > 0
    assert "dropped: 0" in capsys.readouterr().out


def test_a_part_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "calls,speed"])
    assert "speed: not one of calls, swaps, starts" in capsys.readouterr().err
