"""Whether a gateway with many plugins grows while it works.

Rules:
- Every plugin is called, and one after the other is swapped, for the whole time.
- What is counted: the gateway's own memory (USS), the plugins' together, open descriptors (on Windows: handles) and
  children of the gateway.
- The first third is warming up. Growth is the median of the last third against the median of the second.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks.fronts import Front, gateway
from benchmarks.load import open_loop
from benchmarks.subject import CAPABILITY, install, route_to
from config.home import Home
from domain.routing import PluginVersion
from gateway.admin_client import AdminClient

RATE = 200.0
SAMPLES = 60
SECONDS_BETWEEN_SWAPS = 1.0
WARM_HOLD_SECONDS = "1"
KINDS = ("gateway_mib", "plugins_mib", "descriptors", "children")


@dataclass(frozen=True)
class Sample:
    """How the gateway stood once."""

    gateway_mib: float
    plugins_mib: float
    descriptors: int
    children: int


@dataclass(frozen=True)
class Soaked:
    """How it went."""

    minutes: float
    plugins: int
    calls: int
    failed: int
    swaps: int
    samples: Sequence[Sample]

    def change(self, kind: str) -> tuple[float, float]:
        """Return the medians of the second and of the last third."""
        values = [float(getattr(sample, kind)) for sample in self.samples]
        third = max(1, len(values) // 3)
        return median(values[third : 2 * third] or values), median(values[-third:])

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON holds it."""
        return {**asdict(self), "change": {kind: self.change(kind) for kind in KINDS}}

    def lines(self) -> list[str]:
        """Return the table."""
        did = f"{self.calls} calls, {self.failed} failed, {self.swaps} swaps"
        lines = [
            f"{self.minutes:g} minutes, {self.plugins} plugins, {did}",
            f"{'':<12} {'second third':>12} {'last third':>12} {'growth':>8}",
        ]
        for kind in KINDS:
            before, after = self.change(kind)
            lines.append(f"{kind:<12} {before:>12.1f} {after:>12.1f} {(after / before - 1):>8.1%}")
        return lines


async def measure(minutes: float, plugins: int) -> Soaked:
    """Let a gateway work for a time."""
    sys.stderr.write(f"soak: {minutes:g} minutes, {plugins} plugins\n")
    with TemporaryDirectory() as folder:
        home = Home(Path(folder)).create()
        names = [f"{CAPABILITY}_{number}" for number in range(plugins)]
        pairs = {name: [install(home, version, name) for version in ("1.0.0", "1.0.1")] for name in names}
        more = {"UPGRADE_LOOP_GATEWAY__WARM_HOLD_SECONDS": WARM_HOLD_SECONDS}
        async with gateway(home, more) as (front, admin):
            for name, (first, _) in pairs.items():
                await admin.set_route(route_to(first, name))
            callers = [call for name in names for call in await front.callers(1, name)]
            over = asyncio.Event()
            swapping = asyncio.create_task(_swap(admin, pairs, over))
            sampling = asyncio.create_task(_sample(front, minutes * 60, over))
            calls = int(minutes * 60 * RATE)
            shots = await open_loop(callers, rate=RATE, calls=calls)
            over.set()
            samples, swaps = await sampling, await swapping
    failed = sum(1 for shot in shots if shot.failure)
    return Soaked(minutes, plugins, calls, failed, swaps, samples)


async def _swap(admin: AdminClient, pairs: dict[str, list[PluginVersion]], over: asyncio.Event) -> int:
    """Swap one plugin after the other until it is over, and return how many swaps there were."""
    swaps = 0
    for turn in itertools.count(1):
        for name, pair in pairs.items():
            if over.is_set():
                return swaps
            await admin.set_route(route_to(pair[turn % 2], name))
            swaps += 1
            await asyncio.sleep(SECONDS_BETWEEN_SWAPS)
    return swaps


async def _sample(front: Front, seconds: float, over: asyncio.Event) -> list[Sample]:
    """Look at the gateway at even distances until it is over."""
    samples = []
    while not over.is_set():
        started = time.perf_counter()
        samples.append(await asyncio.to_thread(_look, psutil.Process(front.pid)))
        await asyncio.sleep(max(0.0, seconds / SAMPLES - (time.perf_counter() - started)))
    return samples


def _look(process: psutil.Process) -> Sample:
    private = []
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            private.append(child.memory_full_info().uss)
    return Sample(process.memory_full_info().uss / 2**20, sum(private) / 2**20, _descriptors(process), len(private))


def _descriptors(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return process.num_handles()
    return process.num_fds()
