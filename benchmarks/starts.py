"""How long a plugin takes until it may be called, and how much memory it holds.

Rules:
- `process`: from nothing to a process that has proven it offers what its contract says; the plugin's share of a start.
- `cold`: what the gateway does for a version that it meets for the first time: read and verify the package, compile
  its schemas, start the process, make its golden calls.
- `warm`: the same order for a version that is still running; what taking back the last version costs.
- `call`: one call through the pipe after another, nothing between.
- Each is measured for every tier that this machine can build; what the tier `wasm` needs is built before.
- Memory is what would be free again if the process ended (USS), of each process of plugins that have answered one call
  and whose warm spares stand ready: in the tier that they get unasked, and in the tier `wasm`.

Not here: versions under load (`swaps.py`), memory over time (`soak.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks.subject import ARGUMENTS, CAPABILITY, METHOD, install
from config.home import Home
from domain.isolation import Isolation
from domain.routing import PluginVersion
from plugins.core.failures import PluginFailure
from plugins.core.host import PluginHost
from plugins.core.isolation import FOR_PROCESSES, Machine
from plugins.core.packages import PackageStore
from plugins.core.process import PluginProcess
from plugins.core.sandbox import Jail
from plugins.core.wasm.cells import Cells
from plugins.core.wasm.jail import WasmJail

READY_GOAL_MS, MEMORY_GOAL_MIB = 35.0, 6.0
CALLS = 200


@dataclass(frozen=True)
class Start:
    """How long one kind of start takes; milliseconds."""

    tier: Isolation
    kind: str
    least: float
    p50: float
    most: float


@dataclass(frozen=True)
class Footprint:
    """What each process of many idle plugins holds of its own; MiB."""

    tier: Isolation
    plugins: int
    processes: int
    p50: float
    most: float


@dataclass(frozen=True)
class Starts:
    """Starts by tier and kind, and the memory of many plugins."""

    starts: Sequence[Start]
    memory: Sequence[Footprint]

    def document(self) -> dict[str, Any]:
        """Return all of it as JSON holds it."""
        return {"starts": [asdict(start) for start in self.starts], "memory": [asdict(one) for one in self.memory]}

    def lines(self) -> list[str]:
        """Return the table."""
        lines = [f"{'tier':<10} {'start':<10} {'least ms':>9} {'p50 ms':>9} {'most ms':>9}"]
        lines += [f"{s.tier:<10} {s.kind:<10} {s.least:>9.1f} {s.p50:>9.1f} {s.most:>9.1f}" for s in self.starts]
        lines.append(f"goal: process p50 at most {READY_GOAL_MS:.0f} ms")
        for memory in self.memory:
            held = f"p50 {memory.p50:.1f} MiB, most {memory.most:.1f} MiB (goal: at most {MEMORY_GOAL_MIB:.0f})"
            whose = f"each of {memory.processes} processes of {memory.plugins} idle plugins, tier {memory.tier}"
            lines.append(f"private memory of {whose}: {held}")
        return lines


async def measure(times: int, plugins: int, cells: Path | None = None) -> Starts:
    """Measure starts in every tier, and memory.

    Args:
        times: starts of each kind.
        plugins: how many run at once for their memory.
        cells: where what the tier `wasm` needs is kept; the tier is left out when not given.
    """
    starts: list[Start] = []
    memory: list[Footprint] = []
    found = jails(cells)
    for tier, jail in found.items():
        sys.stderr.write(f"starts: {times} of each kind, tier {tier}\n")
        starts += await _starts(tier, jail, times)
    for tier in dict.fromkeys((next(iter(found)), *(set(found) & {Isolation.WASM}))):
        sys.stderr.write(f"memory: {plugins} plugins, tier {tier}\n")
        memory.append(await _memory(tier, found[tier], plugins))
    return Starts(starts, memory)


def jails(cells: Path | None = None) -> Mapping[Isolation, Jail]:
    """Return the walls that a process can be started in on this machine, by tier, the one it gets unasked first."""
    machine = Machine()
    found = {tier: machine.jail(tier) for tier in FOR_PROCESSES if machine.offer(tier).available}
    if cells is not None:
        with contextlib.suppress(PluginFailure):  # its tools are not installed
            wasm = WasmJail(Cells(cells))
            wasm.cells.code()
            found[Isolation.WASM] = wasm
    return found


async def _starts(tier: Isolation, jail: Jail, times: int) -> list[Start]:
    with TemporaryDirectory() as folder:
        home = Home(Path(folder)).create()
        packages = PackageStore(home.packages)
        host = PluginHost(packages, jail=jail)
        taken: dict[str, list[float]] = {"process": [], "call": [], "cold": [], "warm": []}
        try:
            for number in range(times):
                version = install(home, f"1.0.{number}")
                started, called = await _process_start(packages, jail, version)
                taken["process"].append(started)
                taken["call"] += called
                for kind in ("cold", "warm"):
                    taken[kind].append(await _milliseconds(host.load(version)))
                await host.unload(version.digest, 1)
        finally:
            await host.close()
    return [Start(tier, kind, min(all_), median(all_), max(all_)) for kind, all_ in taken.items()]


async def _process_start(packages: PackageStore, jail: Jail, version: PluginVersion) -> tuple[float, list[float]]:
    """Return how long a process takes to be ready, and each of its calls."""
    package = packages.get(version.digest)
    started = time.perf_counter()
    process = await PluginProcess.start(packages.path(version.digest), package.contract, jail=jail, work=packages.work)
    taken = (time.perf_counter() - started) * 1_000
    called = [await _milliseconds(process.call(CAPABILITY, METHOD, ARGUMENTS, 30)) for _ in range(CALLS)]
    await process.stop(1)
    return taken, called


async def _milliseconds(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return (time.perf_counter() - started) * 1_000


async def _memory(tier: Isolation, jail: Jail, plugins: int) -> Footprint:
    with TemporaryDirectory() as folder:
        home = Home(Path(folder)).create()
        host = PluginHost(PackageStore(home.packages), jail=jail)
        before = {child.pid for child in psutil.Process().children()}
        try:
            for number in range(plugins):
                capability = f"{CAPABILITY}_{number}"
                version = install(home, "1.0.0", capability)
                await host.load(version)
                await host.call(version, capability, METHOD, ARGUMENTS)
            while sum(loaded.spares for loaded in host.loaded()) < plugins:
                await asyncio.sleep(0.01)
            instances = [one for one in psutil.Process().children() if one.pid not in before]
            private = [_private_mib(instance) for instance in instances]
        finally:
            await host.close()
    return Footprint(tier, plugins, len(private), median(private), max(private))


def _private_mib(instance: psutil.Process) -> float:
    """Return what an instance holds alone, its walls' own process included."""
    processes = [instance, *instance.children(recursive=True)]
    return float(sum(process.memory_full_info().uss for process in processes)) / 2**20
