"""Spec 3.1, plugin lifecycle - decides what happens when an instance dies, hangs, or is no longer wanted.

Rules:
- States move only as `PLUGIN_TRANSITIONS` allows.
- An instance that dies is started again after 0.1 s, doubling to 30 s; five deaths in a row, with no answer given in
  between by any instance of the version, put the version into quarantine. An instance that lived for `SOUND_SECONDS`
  begins a new row: a version that nobody calls is not put away for one death a day.
- A method that was given up on and still holds its instance `STUCK_SECONDS` later makes the instance die; it may hold
  it as long as an older call's time is not up.
- Draining takes no new call, waits for those that run, and ends at its deadline; a draining version may be revived.

Not here: choosing an instance (`pool.py`), repeating a failed call (`host.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator

from domain.base import JsonObject
from domain.calls import ErrorKind
from domain.errors import UpgradeLoopError
from domain.plugins import ANSWERING, PLUGIN_TRANSITIONS, LoadedVersion, PluginState
from domain.routing import PluginVersion
from domain.transitions import advance
from plugins.core.contracts import MethodChecks
from plugins.core.failures import PluginFailure
from plugins.core.loader import Loader, Program, check_health
from plugins.core.pool import Instance, Lease, Pool
from plugins.core.process import PluginProcess

BACK_OFF_SECONDS = 0.1
BACK_OFF_LIMIT_SECONDS = 30.0
CRASHES_IN_A_ROW = 5
SOUND_SECONDS = 300.0
STUCK_SECONDS = 1.0
STOP_SECONDS = 2.0


class RunningVersion:
    """The instances of one version, kept alive.

    Args:
        version: which it is.
        program: what runs.
        loader: starts its processes.
        quarantined: told when the version is put into quarantine.

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
        quarantined: Callable[[LoadedVersion], None] = lambda _: None,
    ) -> None:
        self.version = version
        self.program = program
        self.state = PluginState.LOADING
        self.in_flight = 0
        self.restarts = 0
        self.pool = Pool(version.id)
        self._loader = loader
        self._quarantined = quarantined
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
        self._move(PluginState.WARM)
        for process in processes:
            instance = Instance(process)
            self.pool.instances.append(instance)
            self._run(self._keep_alive(instance))

    @contextlib.contextmanager
    def admitted(self) -> Iterator[None]:
        """Count a call from its arrival to its end.

        Raises:
            PluginFailure: `unavailable`, the version takes no calls now.
        """
        if self.state not in ANSWERING:
            why = f" ({self._reason})" if self._reason else ""
            raise PluginFailure(ErrorKind.UNAVAILABLE, f"{self.version.id} is {self.state}{why}.")
        self._move(PluginState.SERVING)
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    async def call(self, lease: Lease, checks: MethodChecks, arguments: JsonObject, deadline: float) -> JsonObject:
        """Let a borrowed instance answer one call.

        Raises:
            PluginFailure: it did not answer as its contract promises.
        """
        seconds = max(deadline - asyncio.get_running_loop().time(), 0.001)
        capability = checks.capability
        process = lease.instance.process
        try:
            result = await process.call(capability, checks.method.name, arguments, seconds)
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
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self.in_flight and self.state is PluginState.DRAINING and loop.time() < deadline:
            await asyncio.sleep(0.01)
        return self.state is not PluginState.SERVING

    def revive(self) -> None:
        """Take a draining version back into service."""
        self._move(PluginState.SERVING)

    async def stop(self) -> None:
        """End all instances; open calls fail."""
        self._move(PluginState.STOPPED)
        self.pool.close("it was stopped")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(one.process.stop(STOP_SECONDS) for one in self.pool.instances))

    def snapshot(self) -> LoadedVersion:
        """Return how the version stands now."""
        live = [one.process for one in self.pool.instances if one.process.alive]
        return LoadedVersion(
            version=self.version,
            state=self.state,
            instances=len(live),
            in_flight=self.in_flight,
            restarts=self.restarts,
            rss_bytes=sum(process.rss_bytes() for process in live),
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
            self.pool.wake_all()

    async def _restarted(self) -> PluginProcess | None:
        """Return a new process, or None when the version is in quarantine."""
        reason = "its process ended"
        while self.state is not PluginState.QUARANTINED:
            self._crashes += 1
            if self._crashes >= CRASHES_IN_A_ROW:
                self._quarantine(f"{CRASHES_IN_A_ROW} crashes in a row, last: {reason}")
                return None
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
        self._quarantined(self.snapshot())

    async def _end_if_stuck(self, process: PluginProcess, patience: float) -> None:
        try:
            await process.prove_free(patience)
        except PluginFailure:
            process.kill()

    def _move(self, target: PluginState) -> None:
        self.state = advance(PLUGIN_TRANSITIONS, self.state, target, self.version.id)

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _take_back(starts: list[asyncio.Task[PluginProcess]]) -> None:
    """Stop what has come up, after a start beside it failed."""
    for start in starts:
        start.cancel()
    for outcome in await asyncio.gather(*starts, return_exceptions=True):
        if isinstance(outcome, PluginProcess):
            await outcome.stop(0)
