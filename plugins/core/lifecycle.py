"""Spec 3.1, plugin lifecycle - decides what happens when an instance dies, hangs, or is no longer wanted.

Rules:
- States move only as `PLUGIN_TRANSITIONS` allows.
- In the place of an instance that dies stands a warm spare at once; without one it is started again after 0.1 s,
  doubling to 30 s. Five deaths in a row, with no answer given in
  between by any instance of the version, put the version into quarantine. An instance that lived for `SOUND_SECONDS`
  begins a new row: a version that nobody calls is not put away for one death a day.
- A method that was given up on and still holds its instance `STUCK_SECONDS` later makes the instance die; it may hold
  it as long as an older call's time is not up.
- An idle instance that fails its health check as often in a row as its contract says dies, too.
- A version whose calls fail in a row is left alone for a while (`breaker.py`).
- Draining takes no new call, waits for those that run, and ends at its deadline; a draining version may be revived.
- What happens to a version is told as it happens.

Not here: choosing an instance (`pool.py`), repeating a failed call (`host.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass

from domain.base import JsonObject
from domain.calls import ErrorKind
from domain.contracts import LifecycleHooks
from domain.errors import UpgradeLoopError
from domain.isolation import Isolation
from domain.plugins import (
    ANSWERING,
    PLUGIN_TRANSITIONS,
    LifecycleEvent,
    LoadedVersion,
    PluginEvent,
    PluginState,
)
from domain.routing import PluginVersion
from domain.transitions import advance
from plugins.core.breaker import Breaker
from plugins.core.contracts import MethodChecks
from plugins.core.failures import PluginFailure
from plugins.core.loader import Loader, Program, check_health
from plugins.core.pool import Instance, Lease, Pool
from plugins.core.process import PluginProcess
from plugins.core.rounds import FIRST_ROUND, Turn
from plugins.core.spares import Spares

BACK_OFF_SECONDS = 0.1
BACK_OFF_LIMIT_SECONDS = 30.0
CRASHES_IN_A_ROW = 5
SOUND_SECONDS = 300.0
STUCK_SECONDS = 1.0
STOP_SECONDS = 2.0


EVENT_OF = {
    PluginState.WARM: LifecycleEvent.LOADED,
    PluginState.SERVING: LifecycleEvent.SERVING,
    PluginState.DRAINING: LifecycleEvent.DRAINING,
    PluginState.STOPPED: LifecycleEvent.STOPPED,
    PluginState.QUARANTINED: LifecycleEvent.QUARANTINED,
}


@dataclass(frozen=True)
class Watchers:
    """Who is told of what happens to versions; none of them may wait.

    Attributes:
        quarantined: told of a version that is put into quarantine.
        told: told of everything.
    """

    quarantined: Callable[[LoadedVersion], None] = lambda _: None
    told: Callable[[PluginEvent], None] = lambda _: None


@dataclass(frozen=True)
class Request:
    """One call of a method, and until when it is to be answered on the event loop's clock."""

    checks: MethodChecks
    arguments: JsonObject
    deadline: float
    turn: Turn = FIRST_ROUND


class RunningVersion:
    """The instances of one version, kept alive.

    Args:
        version: which it is.
        program: what runs.
        loader: starts its processes.
        watchers: told of what happens.

    Attributes:
        state: where the version stands.
        in_flight: calls being served or waiting for an instance.
        restarts: instances started again.
        pool: lends the instances.
    """

    def __init__(
        self,
        version: PluginVersion,
        program: Program,
        loader: Loader,
        watchers: Watchers | None = None,
    ) -> None:
        self.version = version
        self.program = program
        self.state = PluginState.LOADING
        self.in_flight = 0
        self.restarts = 0
        self.pool = Pool(version.id)
        self._loader = loader
        self._watchers = watchers or Watchers()
        self._spares = Spares(loader, program)
        self._breaker = Breaker()
        self._reason = ""
        self._crashes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start all instances; the version is warm when the last one is ready.

        Raises:
            PluginFailure: one did not come up; none is left running.
        """
        count = self.program.contract.resource_requirements.instances
        starts = [asyncio.create_task(self._loader.start(self.program)) for _ in range(count)]
        try:
            processes = await asyncio.gather(*starts)
        except BaseException:
            await _take_back(starts)
            self._move(PluginState.STOPPED)
            raise
        self.pool.instances += [Instance(process) for process in processes]
        self._move(PluginState.WARM)
        for instance in self.pool.instances:
            self._run(self._keep_alive(instance))
        self._run(self._watch())
        self._spares.fill()

    @property
    def isolation(self) -> Isolation:
        """The tier that its processes run in, once it has started."""
        return self.pool.instances[0].process.isolation

    @contextlib.contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a call from its arrival to its end.

        Raises:
            PluginFailure: `unavailable`, the version takes no calls now.
        """
        if self.state not in ANSWERING:
            why = f" ({self._reason})" if self._reason else ""
            raise PluginFailure(ErrorKind.UNAVAILABLE, f"{self.version.id} is {self.state}{why}.")
        if wait := self._breaker.wait(asyncio.get_running_loop().time()):
            text = f"{self.version.id} failed {self._breaker.faults} calls in a row and is left alone for {wait:.1f} s."
            raise PluginFailure(ErrorKind.UNAVAILABLE, text)
        self._move(PluginState.SERVING)
        self.in_flight += 1
        error: ErrorKind | None = ErrorKind.CANCELLED
        try:
            yield
            error = None
        except PluginFailure as failure:
            error = failure.kind
            raise
        finally:
            self.in_flight -= 1
            self._judge(error)

    async def call(self, lease: Lease, request: Request) -> JsonObject:
        """Let a borrowed instance answer one call.

        Raises:
            PluginFailure: it did not answer as its contract promises.
        """
        seconds = max(request.deadline - asyncio.get_running_loop().time(), 0.001)
        checks, process = request.checks, lease.instance.process
        try:
            result = await process.call(checks.capability, checks.method.name, request.arguments, seconds, request.turn)
        except PluginFailure as failure:
            if failure.kind is ErrorKind.TIMEOUT:
                now = asyncio.get_running_loop().time()
                self._run(self._end_if_stuck(process, lease.instance.patience(lease, now) + STUCK_SECONDS))
            elif failure.kind is not ErrorKind.PLUGIN_CRASH:
                self._crashes = 0
            raise
        self._crashes = 0
        return result

    async def health(self) -> None:
        """Run the contract's health check on every live instance.

        Raises:
            PluginFailure: one is sick, or none lives.
        """
        live = [one.process for one in self.pool.instances if one.process.alive]
        if not live:
            raise PluginFailure(ErrorKind.UNAVAILABLE, f"{self.version.id} has no live instance.")
        await asyncio.gather(*(check_health(process, self.program) for process in live))

    async def drain(self, seconds: float) -> bool:
        """Take no new calls and wait for those that run.

        Returns:
            Whether the version is to be stopped now; False when it was revived meanwhile.
        """
        self._move(PluginState.DRAINING)
        telling = self._run(self._tell_instances("on_drain")) if self._hooks.on_drain else None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.state is PluginState.DRAINING and loop.time() < deadline:
            if not self.in_flight and (telling is None or telling.done()):
                break
            await asyncio.sleep(0.01)
        return self.state is not PluginState.SERVING

    def revive(self) -> None:
        """Take a draining version back into service."""
        self._move(PluginState.SERVING, LifecycleEvent.REVIVED)

    async def stop(self) -> None:
        """End all instances; open calls fail."""
        self._move(PluginState.STOPPED)
        self.pool.close("it was stopped")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        grace = self._hooks.time_limit_seconds if self._hooks.on_stop else STOP_SECONDS
        await asyncio.gather(self._spares.close(), *(one.process.stop(grace) for one in self.pool.instances))

    def snapshot(self) -> LoadedVersion:
        """Return how the version stands now."""
        live = [one.process for one in self.pool.instances if one.process.alive]
        spares = self._spares.ready
        return LoadedVersion(
            version=self.version,
            state=self.state,
            instances=len(live),
            in_flight=self.in_flight,
            restarts=self.restarts,
            spares=len(spares),
            rss_bytes=sum(process.rss_bytes() for process in (*live, *spares)),
            isolation=self.isolation,
            reason=self._reason,
        )

    async def _keep_alive(self, instance: Instance) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            started = clock()
            await instance.process.ended()
            if clock() - started >= SOUND_SECONDS:
                self._crashes = 0
            self.pool.wake_all()
            await instance.process.stop(0)
            process = await self._restarted()
            if process is None:
                return
            instance.process = process
            self.restarts += 1
            self._tell(LifecycleEvent.RESTARTED, f"instance {self.pool.instances.index(instance) + 1} had ended")
            self.pool.wake_all()

    async def _restarted(self) -> PluginProcess | None:
        """Return a new process, or None when the version is in quarantine."""
        reason = "its process ended"
        while self.state is not PluginState.QUARANTINED:
            self._crashes += 1
            if self._crashes >= CRASHES_IN_A_ROW:
                self._quarantine(f"{CRASHES_IN_A_ROW} crashes in a row, last: {reason}")
                return None
            if (spare := self._spares.take()) is not None:
                return spare
            await asyncio.sleep(min(BACK_OFF_SECONDS * 2 ** (self._crashes - 1), BACK_OFF_LIMIT_SECONDS))
            try:
                return await self._loader.start_again(self.program)
            except UpgradeLoopError as failure:
                reason = failure.message
        return None

    def _quarantine(self, reason: str) -> None:
        self._reason = reason
        self._move(PluginState.QUARANTINED)
        self.pool.close(f"it is in quarantine after {reason}")
        for instance in self.pool.instances:
            instance.process.kill()
        self._watchers.quarantined(self.snapshot())
        self._run(self._spares.close())

    async def _end_if_stuck(self, process: PluginProcess, patience: float) -> None:
        try:
            await process.prove_free(patience)
        except PluginFailure:
            process.kill()

    async def _watch(self) -> None:
        """Check the health of idle instances, and end those that stay sick."""
        every = self.program.contract.health_check.every_seconds
        sick: dict[PluginProcess, int] = {}
        while every:
            await asyncio.sleep(every)
            idle = [one.process for one in self.pool.instances if one.process.alive and not one.calls]
            sick = {process: count for process, count in sick.items() if process in idle}
            for process in idle:
                try:
                    await check_health(process, self.program)
                    sick.pop(process, None)
                except PluginFailure:
                    sick[process] = sick.get(process, 0) + 1
                    if sick[process] >= self.program.contract.health_check.failures:
                        process.kill()

    async def _tell_instances(self, hook: str) -> None:
        """Run a hook on every live instance; one that fails is told of and stops nothing."""
        for one in self.pool.instances:
            if one.process.alive:
                try:
                    await one.process.hook(hook)
                except PluginFailure as failure:
                    self._tell(LifecycleEvent.HOOK_FAILED, f"{hook}: {failure.message}")

    def _judge(self, error: ErrorKind | None) -> None:
        """Let the circuit know how a call ended."""
        if self._breaker.ended(asyncio.get_running_loop().time(), error):
            if self._breaker.is_open:
                self._tell(LifecycleEvent.CIRCUIT_OPENED, f"{self._breaker.faults} calls in a row failed")
            else:
                self._tell(LifecycleEvent.CIRCUIT_CLOSED)

    def _move(self, target: PluginState, event: LifecycleEvent | None = None) -> None:
        before = self.state
        self.state = advance(PLUGIN_TRANSITIONS, self.state, target, self.version.id)
        if before is not target:
            self._tell(event or EVENT_OF[target], self._reason if target is PluginState.QUARANTINED else "")

    def _tell(self, event: LifecycleEvent, reason: str = "") -> None:
        tier = self.isolation if event is LifecycleEvent.LOADED else None
        self._watchers.told(PluginEvent(version=self.version, event=event, reason=reason[:2_000], isolation=tier))

    @property
    def _hooks(self) -> LifecycleHooks:
        return self.program.contract.lifecycle_hooks

    def _run(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _take_back(starts: list[asyncio.Task[PluginProcess]]) -> None:
    """Stop what has come up, after a start beside it failed."""
    for start in starts:
        start.cancel()
    for outcome in await asyncio.gather(*starts, return_exceptions=True):
        if isinstance(outcome, PluginProcess):
            await outcome.stop(0)
