"""Spec 7.1, replay - decides how two versions are given the same calls, side by side, away from the agent.

Rules:
- Only methods without side effects are replayed: their golden examples, then recorded calls of real users.
- Both versions run in processes of their own, started for this and stopped after it; neither serves anyone.
- The runs of the two are interleaved and alternate who goes first, so that a busy moment of the host hits both alike.
- A pair's duration is the median of its runs; it failed if any of its runs failed.

Not here: what the measurements mean (`engines/performance.py`, `engines/experiments.py`).
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from activities.context import Context
from domain.base import JsonObject
from domain.calls import ErrorKind
from domain.contracts import MethodSignature, PluginContract
from domain.experiments import PairedOutcome
from domain.performance import CallMeasurement, HostUsage
from domain.routing import PluginVersion
from plugins.core.failures import PluginFailure
from plugins.core.loader import Loader
from plugins.core.network import Network
from plugins.core.process import PluginProcess

STOP_SECONDS = 2.0
LEAST_CPU_SECONDS = 0.2
"""Processor time below which the operating system's clock ticks (10 ms) say nothing."""


@dataclass(frozen=True)
class ReplayCall:
    """One call to be given to both versions."""

    capability: str
    method: MethodSignature
    arguments: JsonObject


@dataclass
class Bench:
    """One version on the bench, and what was measured of it."""

    process: PluginProcess
    start_ms: float
    began: float = 0.0
    cpu_at_begin: float = 0.0
    calls: list[CallMeasurement] = field(default_factory=list)

    @classmethod
    async def start(cls, context: Context, version: PluginVersion) -> Bench:
        """Start a version alone."""
        begun = time.perf_counter()
        package = context.packages.get(version.digest)
        loader = Loader(context.packages, context.jail, Network(context.settings.security.network_hosts))
        process = await loader.start_cold(await loader.program(package))
        return cls(process=process, start_ms=(time.perf_counter() - begun) * 1000)

    def begin(self) -> None:
        """Count what the version uses from now on."""
        self.began, self.cpu_at_begin = time.perf_counter(), self.process.cpu_seconds()

    async def run(self, call: ReplayCall) -> tuple[JsonObject | None, float]:
        """Make one call; the result is None if it failed, the duration is in milliseconds."""
        begun = time.perf_counter()
        result: JsonObject | None = None
        timed_out = False
        try:
            result = await self.process.call(
                call.capability, call.method.name, call.arguments, call.method.timeout_seconds
            )
        except PluginFailure as failure:
            timed_out = failure.kind is ErrorKind.TIMEOUT
        duration = (time.perf_counter() - begun) * 1000
        self.calls.append(CallMeasurement(ok=result is not None, duration_ms=duration, timed_out=timed_out))
        return result, duration

    def usage(self) -> HostUsage:
        """Return what the version used since it began; processor time too short to be measured is left out."""
        if not self.process.alive:
            return HostUsage(start_ms=self.start_ms)
        cpu_seconds = self.process.cpu_seconds() - self.cpu_at_begin
        return HostUsage(
            wall_seconds=max(time.perf_counter() - self.began, 1e-6),
            cpu_seconds=cpu_seconds if cpu_seconds >= LEAST_CPU_SECONDS else None,
            memory_mb=self.process.rss_bytes() / 2**20,
            start_ms=self.start_ms,
        )


async def calls_for(context: Context, contract: PluginContract, capability: str, samples: int) -> list[ReplayCall]:
    """Return the calls to replay: every golden example, and up to `samples` recorded calls of each method."""
    interface = contract.interface(capability)
    methods = [method for method in interface.methods if method.repeatable] if interface else []
    calls = [ReplayCall(capability, method, example.arguments) for method in methods for example in method.examples]
    for method in methods:
        recorded = await asyncio.to_thread(context.store.samples.of, capability, method.name, samples)
        calls += [ReplayCall(capability, method, sample.arguments) for sample in recorded]
    return calls


@dataclass(frozen=True)
class AloneMeasurement:
    """What one version did alone."""

    calls: tuple[CallMeasurement, ...]
    usage: HostUsage


async def measure_alone(
    context: Context, version: PluginVersion, calls: Sequence[ReplayCall], repeats: int
) -> AloneMeasurement:
    """Run the calls on one version and return what was measured."""
    bench = await Bench.start(context, version)
    bench.begin()
    try:
        for _ in range(repeats):
            for call in calls:
                await bench.run(call)
        return AloneMeasurement(calls=tuple(bench.calls), usage=bench.usage())
    finally:
        await bench.process.stop(STOP_SECONDS)


async def measure_pair(
    context: Context, control: PluginVersion, candidate: PluginVersion, calls: Sequence[ReplayCall], repeats: int
) -> PairMeasurement:
    """Run the same calls on both versions and return the pairs with what each version used."""
    async with AsyncExitStack() as stack:
        benches = []
        for version in (control, candidate):
            bench = await Bench.start(context, version)
            stack.push_async_callback(bench.process.stop, STOP_SECONDS)
            benches.append(bench)
        for bench in benches:
            bench.begin()
        pairs = [await _pair(benches[0], benches[1], call, repeats) for call in calls]
        return PairMeasurement(
            pairs=tuple(pairs),
            control=tuple(benches[0].calls),
            candidate=tuple(benches[1].calls),
            control_usage=benches[0].usage(),
            candidate_usage=benches[1].usage(),
        )


@dataclass(frozen=True)
class PairMeasurement:
    """What a paired replay measured."""

    pairs: tuple[PairedOutcome, ...]
    control: tuple[CallMeasurement, ...]
    candidate: tuple[CallMeasurement, ...]
    control_usage: HostUsage
    candidate_usage: HostUsage


async def _pair(control: Bench, candidate: Bench, call: ReplayCall, repeats: int) -> PairedOutcome:
    runs: dict[int, list[tuple[JsonObject | None, float]]] = {id(control): [], id(candidate): []}
    for turn in range(repeats):
        order = (control, candidate) if turn % 2 == 0 else (candidate, control)
        for bench in order:
            runs[id(bench)].append(await bench.run(call))
    before, after = runs[id(control)], runs[id(candidate)]
    both_ok = all(result is not None for result, _ in (*before, *after))
    return PairedOutcome(
        method=call.method.name,
        control_ok=all(result is not None for result, _ in before),
        candidate_ok=all(result is not None for result, _ in after),
        control_ms=statistics.median(duration for _, duration in before),
        candidate_ms=statistics.median(duration for _, duration in after),
        same=_same(call.method, before[0][0], after[0][0]) if both_ok else None,
    )


def _same(method: MethodSignature, before: JsonObject | None, after: JsonObject | None) -> bool:
    return before is not None and after is not None and method.agree(before, after)
