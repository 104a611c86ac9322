"""Whether a call is lost while versions are swapped under load, and whether a caller can tell.

Rules:
- Calls fall due at a steady rate from start to end; swaps are spread evenly over that time.
- Each swap starts a process that was not there before: more versions take turns than the gateway keeps warm.
- A call is near a swap when it was due between the order and `SETTLING_SECONDS` after its answer.
- Dropped is a call that the caller saw fail, or that the ledger does not hold as one final record without an error.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.fronts import gateway
from benchmarks.load import Shot, open_loop, percentile
from benchmarks.subject import install, route_to
from config.home import Home
from domain.routing import PluginVersion
from gateway.admin_client import AdminClient
from store.database import open_store

VERSIONS = 5
CALLERS = 64
SETTLING_SECONDS = 0.1
RATIO_GOAL = 2.0


@dataclass(frozen=True)
class Plan:
    """How many calls, over how many swaps, at how many calls a second."""

    calls: int
    swaps: int
    rate: float


@dataclass(frozen=True)
class Swapped:
    """How it went; milliseconds.

    Attributes:
        dropped: calls without a result.
        unrecorded: calls that the ledger does not hold, or holds as failed.
        near: how many calls were due near a swap.
        swap_ms: median time from the order to its answer.
        seconds: of the whole run.
    """

    calls: int
    swaps: int
    dropped: int
    unrecorded: int
    near: int
    near_p50: float
    near_p99: float
    away_p50: float
    away_p99: float
    swap_ms: float
    seconds: float
    failures: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """How many times as long the slow calls take near a swap."""
        return self.near_p99 / self.away_p99

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON holds it."""
        return {**asdict(self), "p99_near_to_away": self.ratio}

    def lines(self) -> list[str]:
        """Return what to print."""
        return [
            f"{self.calls} calls over {self.swaps} swaps in {self.seconds:.0f} s; a swap takes {self.swap_ms:.0f} ms",
            f"dropped: {self.dropped} (goal: 0); not in the ledger as answered: {self.unrecorded} (goal: 0)",
            f"near a swap ({self.near} calls): p50 {self.near_p50:.2f} ms, p99 {self.near_p99:.2f} ms",
            f"away from it: p50 {self.away_p50:.2f} ms, p99 {self.away_p99:.2f} ms",
            f"p99 near to p99 away: {self.ratio:.2f} (goal: at most {RATIO_GOAL:.0f})",
            *self.failures,
        ]


async def measure(plan: Plan) -> Swapped:
    """Carry a plan out against a gateway of its own."""
    sys.stderr.write(f"swaps: {plan.calls} calls at {plan.rate:.0f}/s, {plan.swaps} swaps\n")
    with TemporaryDirectory() as folder:
        home = Home(Path(folder)).create()
        versions = [install(home, f"1.0.{patch}") for patch in range(VERSIONS)]
        async with gateway(home) as (front, admin):
            await admin.set_route(route_to(versions[0]))
            callers = await front.callers(CALLERS)
            await asyncio.gather(*(call() for call in callers))
            started = time.perf_counter()
            swapping = asyncio.create_task(_swap(admin, versions, plan))
            shots = await open_loop(callers, rate=plan.rate, calls=plan.calls)
            elapsed = time.perf_counter() - started
            orders = await swapping
            await admin.flush()
        answered = _answered(home)
    return _judged(shots, orders, answered - CALLERS, elapsed)


async def _swap(admin: AdminClient, versions: list[PluginVersion], plan: Plan) -> list[tuple[float, float]]:
    """Give the orders, each at its time, and return when each was given and carried out."""
    started, pause = time.perf_counter(), plan.calls / plan.rate / (plan.swaps + 1)
    orders = []
    for number in range(1, plan.swaps + 1):
        await asyncio.sleep(max(0.0, started + number * pause - time.perf_counter()))
        ordered = time.perf_counter()
        await admin.set_route(route_to(versions[number % VERSIONS]))
        orders.append((ordered, time.perf_counter()))
    return orders


def _answered(home: Home) -> int:
    """Return how many calls the ledger holds as answered."""
    store = open_store(home.database_url)
    try:
        totals = store.calls.totals()
        return totals.total - totals.failed_by_loop
    finally:
        store.close()


def _judged(shots: list[Shot], orders: list[tuple[float, float]], answered: int, elapsed: float) -> Swapped:
    near: list[float] = []
    away: list[float] = []
    windows = iter(orders)
    window = next(windows, None)
    for shot in sorted(shots, key=lambda shot: shot.due):
        while window is not None and shot.due > window[1] + SETTLING_SECONDS:
            window = next(windows, None)
        if not shot.failure:
            is_near = window is not None and shot.due >= window[0]
            (near if is_near else away).append(shot.seconds * 1_000)
    failures = [shot.failure for shot in shots if shot.failure]
    return Swapped(
        calls=len(shots),
        swaps=len(orders),
        dropped=len(failures),
        unrecorded=len(shots) - answered,
        near=len(near),
        near_p50=percentile(near, 0.50),
        near_p99=percentile(near, 0.99),
        away_p50=percentile(away, 0.50),
        away_p99=percentile(away, 0.99),
        swap_ms=percentile([(end - start) * 1_000 for start, end in orders], 0.50),
        seconds=elapsed,
        failures=tuple(sorted(set(failures))[:5]),
    )
