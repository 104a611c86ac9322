"""Spec 3.4, dynamic loading - decides which versions run and how a call to one of them ends.

Rules:
- Versions run side by side; which of them a caller reaches is decided elsewhere.
- Loading is idempotent, and what is loaded has been proven ready; a package changed on disk neither loads nor restarts.
- Arguments are checked before they are sent, results before they are returned.
- A call whose instance died is repeated once, on another instance, if its method may be called twice; otherwise its
  caller is told that the outcome is unknown.
- Unloading waits for the calls that run, up to its deadline, and tells how many it cut off.
- Uninstalling puts a version down, lets its last hook run in a process of its own, and removes what was made to run it.

Not here: routing, recording, and answering a candidate's failure from the control (`gateway/`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

from domain.base import JsonObject
from domain.calls import ErrorKind
from domain.contracts import PluginContract, tool_name
from domain.errors import PluginRegistrationFailed, UpgradeLoopError
from domain.plugins import LifecycleEvent, LoadedVersion, LoadReport, PluginEvent, PluginState, UnloadReport
from domain.routing import PluginVersion
from plugins.core.failures import PluginFailure
from plugins.core.lifecycle import Request, RunningVersion, Watchers
from plugins.core.loader import Loader, Program
from plugins.core.network import Network
from plugins.core.packages import PackageStore
from plugins.core.rounds import FIRST_ROUND, Turn
from plugins.core.sandbox import Jail


class PluginHost:
    """Runs plugin versions in their own processes.

    Args:
        packages: where the packages lie.
        jail: the walls around each process.
        network: makes the plugins' HTTP requests; it allows none when not given.
        quarantined: told of a version that is put into quarantine; must not wait.
        told: told of everything that happens to a version; must not wait.
    """

    def __init__(
        self,
        packages: PackageStore,
        *,
        jail: Jail,
        network: Network | None = None,
        quarantined: Callable[[LoadedVersion], None] = lambda _: None,
        told: Callable[[PluginEvent], None] = lambda _: None,
    ) -> None:
        self._packages = packages
        self._watchers = Watchers(quarantined, told)
        self._loader = Loader(packages, jail, network)
        self._running: dict[str, RunningVersion] = {}
        self._loading: dict[str, asyncio.Task[LoadReport]] = {}

    async def load(self, version: PluginVersion) -> LoadReport:
        """Bring a version up; a version that is up already is left alone, one that drains is taken back.

        Raises:
            PluginRegistrationFailed: its package is missing, changed or another's, or it is not what its contract
                promises; nothing of it is left running.
        """
        task = self._loading.get(version.digest)
        if task is None:
            task = asyncio.create_task(self._load(version))
            self._loading[version.digest] = task
            task.add_done_callback(lambda _: self._loading.pop(version.digest, None))
        return await asyncio.shield(task)

    async def call(
        self,
        version: PluginVersion,
        capability: str,
        method: str,
        arguments: JsonObject,
        *,
        turn: Turn = FIRST_ROUND,
    ) -> JsonObject:
        """Call a method of a loaded version and return its result.

        Args:
            version: the version to ask.
            capability: one of its interfaces.
            method: a method of the interface.
            arguments: as the caller gave them.
            turn: what goes along with them.

        Raises:
            PluginFailure: with the kind the ledger records.
            Asked: the method wants to know something of the person first.
        """
        running = self._running.get(version.digest)
        if running is None:
            raise PluginFailure(ErrorKind.UNAVAILABLE, f"{version.id} is not loaded.")
        checks = running.program.checks.get((capability, method))
        if checks is None:
            text = f"{version.id} has no tool {tool_name(capability, method)}."
            raise PluginFailure(ErrorKind.UNKNOWN_TOOL, text)
        checks.check_arguments(arguments)
        with running.admitted():
            deadline = asyncio.get_running_loop().time() + checks.method.timeout_seconds
            result = await _answer(running, Request(checks, arguments, deadline, turn))
            checks.check_result(result)
        return result

    async def unload(self, digest: str, drain_seconds: float) -> UnloadReport:
        """Put a version down, after the calls it serves have ended or the deadline has come.

        Args:
            digest: the version's package; nothing happens when it is not loaded.
            drain_seconds: how long to wait for calls that run.
        """
        running = self._running.get(digest)
        if running is None:
            return UnloadReport(digest=digest, was_loaded=False)
        if running.state is not PluginState.QUARANTINED and not await running.drain(drain_seconds):
            return UnloadReport(digest=digest, was_loaded=True, revived=True)
        cut_off = running.in_flight
        await self._stop(running)
        return UnloadReport(digest=digest, was_loaded=True, killed_in_flight=cut_off)

    async def uninstall(self, version: PluginVersion, drain_seconds: float) -> None:
        """Put a version down for good: its `on_uninstall` runs once, and what was made to run it is removed.

        The package itself stays where it is kept; a hook that fails is told of and stops nothing.
        """
        await self.unload(version.digest, drain_seconds)
        reason = ""
        try:
            program = await self._program(version)
            if program.contract.lifecycle_hooks.on_uninstall:
                process = await self._loader.start_cold(program)
                try:
                    await process.hook("on_uninstall")
                finally:
                    await process.stop(program.contract.lifecycle_hooks.time_limit_seconds)
        except UpgradeLoopError as failure:
            reason = f"on_uninstall: {failure.message}"
            self._tell(version, LifecycleEvent.HOOK_FAILED, reason)
        await asyncio.to_thread(self._loader.forget, version.digest)
        self._tell(version, LifecycleEvent.UNINSTALLED, reason)

    async def health(self, digest: str) -> None:
        """Run a loaded version's health check on all its instances.

        Raises:
            PluginFailure: it is not loaded, or an instance is sick.
        """
        running = self._running.get(digest)
        if running is None:
            raise PluginFailure(ErrorKind.UNAVAILABLE, f"The plugin package {digest} is not loaded.")
        await running.health()

    def loaded(self) -> list[LoadedVersion]:
        """Return how every version stands now."""
        return [running.snapshot() for running in self._running.values()]

    def contract(self, digest: str) -> PluginContract:
        """Return a package's contract, from memory when it is loaded.

        Raises:
            NotFound: there is no such package.
        """
        running = self._running.get(digest)
        return running.program.contract if running is not None else self._packages.get(digest).contract

    async def close(self) -> None:
        """Put everything down at once."""
        for task in list(self._loading.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, PluginRegistrationFailed):
                await task
        await asyncio.gather(*(self._stop(running) for running in self._all()))

    async def _load(self, version: PluginVersion) -> LoadReport:
        started = asyncio.get_running_loop().time()
        running = self._running.get(version.digest)
        if running is not None and running.state is PluginState.DRAINING:
            running.revive()
        if running is not None and running.state is PluginState.QUARANTINED:
            await self._stop(running)
        elif running is not None:
            return _report(running, 0.0, already_loaded=True)
        try:
            running = RunningVersion(version, await self._program(version), self._loader, self._watchers)
            await running.start()
        except UpgradeLoopError as error:
            self._tell(version, LifecycleEvent.FAILED, error.message)
            raise _not_registered(version, error) from error
        self._running[version.digest] = running
        return _report(running, asyncio.get_running_loop().time() - started)

    async def _program(self, version: PluginVersion) -> Program:
        package = await asyncio.to_thread(self._packages.get, version.digest)
        if package.id != version.id:
            raise PluginRegistrationFailed(f"The package {version.digest} is {package.id}, not {version.id}.")
        return await self._loader.program(package)

    def _tell(self, version: PluginVersion, event: LifecycleEvent, reason: str) -> None:
        self._watchers.told(PluginEvent(version=version, event=event, reason=reason[:2_000]))

    async def _stop(self, running: RunningVersion) -> None:
        self._running.pop(running.version.digest, None)
        await running.stop()

    def _all(self) -> Iterable[RunningVersion]:
        return list(self._running.values())


async def _answer(running: RunningVersion, request: Request) -> JsonObject:
    """Get an answer within the method's time, in two attempts at most."""
    lease = await running.pool.borrow(request.deadline)
    try:
        return await running.call(lease, request)
    except PluginFailure as failure:
        if failure.kind is not ErrorKind.PLUGIN_CRASH:
            raise
        if not request.checks.method.retryable:
            raise _unknown(failure) from failure
    finally:
        running.pool.give_back(lease)
    second = await running.pool.borrow(request.deadline, avoid=lease.instance)
    try:
        return await running.call(second, request)
    except PluginFailure as failure:
        if failure.kind is not ErrorKind.PLUGIN_CRASH or request.checks.method.repeatable:
            raise
        raise _unknown(failure) from failure
    finally:
        running.pool.give_back(second)


def _unknown(failure: PluginFailure) -> PluginFailure:
    text = f"{failure.message} It may or may not have done what was asked."
    return PluginFailure(ErrorKind.OUTCOME_UNKNOWN, text)


def _report(running: RunningVersion, seconds: float, *, already_loaded: bool = False) -> LoadReport:
    return LoadReport(
        version=running.version,
        tools=tuple(sorted(checks.tool for checks in running.program.checks.values())),
        instances=len(running.pool.instances),
        warm_up_calls=running.program.warm_up_calls * len(running.pool.instances),
        seconds=seconds,
        isolation=running.isolation,
        already_loaded=already_loaded,
    )


def _not_registered(version: PluginVersion, error: UpgradeLoopError) -> PluginRegistrationFailed:
    if isinstance(error, PluginRegistrationFailed):
        return error
    hint = error.hint or "The version stays as it was before; its stderr is in the details."
    return PluginRegistrationFailed(
        f"{version.id} could not be loaded: {error.message}", hint=hint, details=error.details
    )
