"""What a call costs by each way to the plugin, at three levels of concurrency.

Rules:
- Every round takes all ways in turn, so that what the machine does beside the measurement falls on all of them; a
  cell is the median of its rounds.
- A front's processor time is the whole of its processes', the plugin's included, and of no client's.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.contextforge import CONTEXTFORGE, contextforge, named_python
from benchmarks.fronts import Front, bare_front, door, fastmcp_alone, fastmcp_proxy, pipe
from benchmarks.load import closed_loop

CONCURRENCY = (1, 16, 64)
WARM_UP_SECONDS = 0.5
ADDED_GOAL_MS, TIMES_GOAL = 0.8, 8.0
FASTMCP, FASTMCP_ALONE = "FastMCP proxy", "FastMCP alone"
PEERS = (FASTMCP, FASTMCP_ALONE, CONTEXTFORGE)
FRONTS: Mapping[str, Callable[[], AbstractAsyncContextManager[Front]]] = {
    "pipe": pipe,
    "bare front": bare_front,
    "door": door,
    FASTMCP: fastmcp_proxy,
    FASTMCP_ALONE: fastmcp_alone,
    CONTEXTFORGE: contextforge,
}
"""By name; the order is that of the tables."""


@dataclass(frozen=True)
class Cell:
    """What one way costs at one concurrency.

    Attributes:
        p50, p99: milliseconds.
        per_second: calls.
        cpu_us: microseconds of processor time that a call costs on the front's side.
        failed: calls.
    """

    p50: float
    p99: float
    per_second: float
    cpu_us: float
    failed: int


@dataclass(frozen=True)
class Costs:
    """All cells, by way and concurrency."""

    cells: Mapping[str, Mapping[int, Cell]]

    def added(self, name: str) -> float:
        """Return the milliseconds that a way adds to the pipe, for one caller who waits for each answer."""
        return self.cells[name][1].p50 - self.cells["pipe"][1].p50

    @property
    def times_less(self) -> Mapping[str, float]:
        """How many times less the door adds than each peer that was measured."""
        return {name: self.added(name) / self.added("door") for name in PEERS if name in self.cells}

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON holds it."""
        cells = {name: {str(c): asdict(cell) for c, cell in row.items()} for name, row in self.cells.items()}
        return {
            "cells": cells,
            "added_p50_ms": {name: self.added(name) for name in self.cells if name != "pipe"},
            "times_less": dict(self.times_less),
        }

    def lines(self) -> list[str]:
        """Return the table."""
        lines = [f"{'way':<14} {'at once':>7} {'p50 ms':>9} {'p99 ms':>9} {'calls/s':>9} {'CPU us':>8} {'failed':>6}"]
        lines += [
            f"{name:<14} {c:>7} {cell.p50:>9.3f} {cell.p99:>9.3f} {cell.per_second:>9.0f} {cell.cpu_us:>8.0f}"
            f" {cell.failed:>6}"
            for name, row in self.cells.items()
            for c, cell in row.items()
        ]
        lines.append(f"p50 added by the door: {self.added('door'):.3f} ms (goal: at most {ADDED_GOAL_MS})")
        for name, times in self.times_less.items():
            text = f"{self.added(name):.3f} ms, {times:.1f} times as much"
            lines.append(f"p50 added by {name}: {text} (goal: at least {TIMES_GOAL:.0f})")
        return lines


def available() -> list[str]:
    """Return the ways that can be opened here: the peers are installed for benchmarks only."""
    missing = set() if importlib.util.find_spec("fastmcp") else set(PEERS)
    return [name for name in FRONTS if name not in missing and (name != CONTEXTFORGE or named_python())]


async def measure(seconds: float, rounds: int, concurrency: Sequence[int] = CONCURRENCY) -> Costs:
    """Measure all ways that there are here.

    Args:
        seconds: of load for one cell in one round.
        rounds: how often each cell is measured.
        concurrency: callers at once; 1 must be among them.
    """
    taken: dict[str, dict[int, list[Cell]]] = {}
    async with AsyncExitStack() as stack:
        fronts = {name: await stack.enter_async_context(FRONTS[name]()) for name in available()}
        for name in fronts:
            taken[name] = {callers: [] for callers in concurrency}
        for number in range(rounds):
            for name, front in fronts.items():
                sys.stderr.write(f"calls: round {number + 1} of {rounds}, {name}\n")
                for callers in concurrency:
                    taken[name][callers].append(await _cell(front, callers, seconds))
    return Costs({name: {c: _median(cells) for c, cells in row.items()} for name, row in taken.items()})


async def _cell(front: Front, concurrency: int, seconds: float) -> Cell:
    callers = await front.callers(concurrency)
    await closed_loop(callers, WARM_UP_SECONDS)
    before = front.cpu_seconds()
    timing = await closed_loop(callers, seconds)
    spent = front.cpu_seconds() - before
    front.close()
    return Cell(timing.p50, timing.p99, timing.per_second, spent / timing.calls * 1e6, timing.failed)


def _median(cells: Sequence[Cell]) -> Cell:
    return Cell(
        p50=median(cell.p50 for cell in cells),
        p99=median(cell.p99 for cell in cells),
        per_second=median(cell.per_second for cell in cells),
        cpu_us=median(cell.cpu_us for cell in cells),
        failed=sum(cell.failed for cell in cells),
    )
