"""Load in two shapes, and what it felt like.

Rules:
- Closed loop: so many callers, each calling again when it has its answer. It tells how many calls a second there are.
- Open loop: calls fall due at a steady rate whatever becomes of the earlier ones, and a call's time runs from the
  moment it was due. It tells how long callers wait, a stall included.
- A call that fails is counted and never timed.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

Call = Callable[[], Awaitable[None]]
"""Makes one call; raises when it fails."""


@dataclass(frozen=True)
class Timing:
    """What many calls felt like; milliseconds."""

    calls: int
    failed: int
    p50: float
    p99: float
    per_second: float


@dataclass(frozen=True)
class Shot:
    """One call of an open loop.

    Attributes:
        due: when it was to be made, by the clock of `time.perf_counter`.
        seconds: from then to its answer.
        failure: why there was none, empty otherwise.
    """

    due: float
    seconds: float
    failure: str = ""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that is not below a share of all; nan when there is none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def timing_of(seconds: Sequence[float], failed: int, elapsed: float) -> Timing:
    """Return what calls of these lengths felt like that were made in a time."""
    return Timing(
        calls=len(seconds) + failed,
        failed=failed,
        p50=percentile(seconds, 0.50) * 1_000,
        p99=percentile(seconds, 0.99) * 1_000,
        per_second=len(seconds) / elapsed,
    )


async def closed_loop(callers: Sequence[Call], seconds: float) -> Timing:
    """Let every caller call again and again for a time."""
    lengths: list[float] = []
    failed = 0
    started = time.perf_counter()
    end = started + seconds

    async def calling(call: Call) -> None:
        nonlocal failed
        began = time.perf_counter()
        while began < end:
            try:
                await call()
                lengths.append(time.perf_counter() - began)
            except Exception:
                failed += 1
            began = time.perf_counter()

    await asyncio.gather(*(calling(call) for call in callers))
    return timing_of(lengths, failed, time.perf_counter() - started)


async def open_loop(callers: Sequence[Call], *, rate: float, calls: int) -> list[Shot]:
    """Make calls at a steady rate, the callers taking turns; a call waits when all are busy, and its time runs."""
    free: asyncio.Queue[Call] = asyncio.Queue()
    for caller in callers:
        free.put_nowait(caller)
    shots: list[Shot] = []

    async def shoot(due: float) -> None:
        caller = await free.get()
        failure = ""
        try:
            await caller()
        except Exception as error:
            failure = str(error) or type(error).__name__
        finally:
            free.put_nowait(caller)
        shots.append(Shot(due, time.perf_counter() - due, failure))

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(calls):
            due = started + number / rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            group.create_task(shoot(due))
    return shots
