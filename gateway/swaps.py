"""Spec 5.1, rollout - decides how one version takes over from another without a call being lost.

Rules:
- Load the new version while the old one serves; save the table; put it in force by one assignment; only then put down
  what no route needs any more. Whatever fails before the assignment leaves the old table in force.
- A version that left the table stays warm for a while, so that taking it back is instant; of each capability only the
  last one does. One whose call waits for a person's answer stays until that is given, or too late.
- The same route again changes nothing. Orders are carried out one after the other, each to its end.
- At the start, a version that does not come up stops nothing: its capability answers `unavailable` or from its other
  version, and it is tried again with growing patience.

Not here: answering calls (`gateway/calls.py`), processes (`plugins/core/host.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.contracts import PluginContract
from domain.errors import IllegalTransition, InvalidInput, PluginRegistrationFailed, UpgradeLoopError
from domain.plugins import ANSWERING, LoadedVersion, LoadReport, UnloadReport
from domain.routing import PluginVersion, Route, RoutingTable
from gateway.memory import Memory
from gateway.metrics import DoorMetrics
from gateway.table import CurrentTable, Snapshot
from plugins.core.host import PluginHost

_LOG = logging.getLogger(__name__)
FIRST_RETRY_SECONDS = 2.0
LAST_RETRY_SECONDS = 60.0
LOOK_SECONDS = 0.5


@dataclass
class Hold:
    """A version that left the table and is kept warm until released."""

    version: PluginVersion
    release: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Patience:
    """How long versions that left the table are kept warm, and may then finish their calls; in seconds."""

    hold: float
    drain: float


@dataclass
class Swaps:
    """Carries out the orders that change who answers.

    Attributes:
        changed: told when the tools that agents see are others than before.
        asking: says whether a call of a version waits for a person.
        failed: versions of the table that did not come up, by digest, and why.
    """

    memory: Memory
    current: CurrentTable
    host: PluginHost
    metrics: DoorMetrics
    patience: Patience
    clock: Callable[[], datetime]
    changed: Callable[[], Coroutine[Any, Any, None]]
    asking: Callable[[str], bool]
    failed: dict[str, str] = field(default_factory=dict, init=False)
    restored: bool = field(default=False, init=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)
    _held: dict[str, Hold] = field(default_factory=dict, init=False)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set, init=False)

    async def restore(self) -> None:
        """Put the last table back in force, with every version of it that comes up."""
        table = await asyncio.to_thread(self.memory.load_table)
        await asyncio.gather(*(self._try_to_load(version) for version in table.versions.values()))
        await asyncio.to_thread(self.memory.copy_table, table)
        self.current.switch(Snapshot.of(table, self._contract_of))
        self.restored = True
        for digest in self.failed:
            self._run(self._keep_trying(table.versions[digest]))

    def unready(self) -> list[str]:
        """Return why the door is not ready: controls that do not answer, one sentence each."""
        if not self.restored:
            return ["The routing table is not restored yet."]
        standing = {one.version.digest: one for one in self.host.loaded()}
        controls = {r.control.digest: r.control for r in self.current.now.table.routes.values() if r.control}
        reasons = [self._trouble_of(version, standing.get(digest)) for digest, version in sorted(controls.items())]
        return [reason for reason in reasons if reason]

    async def load(self, version: PluginVersion) -> LoadReport:
        """Bring a version up beside the others.

        Raises:
            PluginRegistrationFailed: it does not come up.
        """
        report = await self.host.load(version)
        self.failed.pop(version.digest, None)
        return report

    async def unload(self, digest: str) -> UnloadReport:
        """Put a version down once its calls are done.

        Raises:
            IllegalTransition: a route needs it.
        """
        async with self._lock:
            users = [r.capability for r in self.current.now.table.routes.values() if _needs(r, digest)]
        if users:
            raise IllegalTransition(
                f"The version {digest[:12]} serves {', '.join(users)} and cannot be unloaded.",
                hint="Set another route first.",
            )
        return await self.host.unload(digest, self.patience.drain)

    async def set_route(self, route: Route) -> RoutingTable:
        """Put a route in force, with its versions loaded, and return the table that holds it.

        Raises:
            InvalidInput: the route names no version, or one that does not provide the capability.
            PluginRegistrationFailed: a version that is new in the table does not come up.
            StoreUnusable: the table cannot be saved.
        """
        return await asyncio.shield(self._run(self._set_route(route)))

    async def remove_route(self, capability: str) -> RoutingTable:
        """Take a capability out of the table and return the table; nothing happens if it is not there.

        Raises:
            StoreUnusable: the table cannot be saved.
        """
        return await asyncio.shield(self._run(self._remove_route(capability)))

    async def close(self) -> None:
        """Give up what is still going on in the background."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _set_route(self, route: Route) -> RoutingTable:
        async with self._lock:
            known = self.current.now.table.versions
            for version in route.versions:
                await self._loaded(version, known=version.digest in known)
            self._check(route)
            return await self._apply(lambda table: _with(table, route))

    async def _remove_route(self, capability: str) -> RoutingTable:
        async with self._lock:
            return await self._apply(lambda table: _without(table, capability))

    async def _apply(self, change: Callable[[RoutingTable], RoutingTable]) -> RoutingTable:
        """Put a changed table in force, based on the store's if that has moved on without us."""
        table = change(self.current.now.table)
        if table == self.current.now.table:
            return table
        try:
            await asyncio.to_thread(self.memory.save_table, table, self.clock())
        except IllegalTransition:
            await self._follow(await asyncio.to_thread(self.memory.load_table))
            table = change(self.current.now.table)
            if table != self.current.now.table:
                await asyncio.to_thread(self.memory.save_table, table, self.clock())
        await self._switch(table)
        return table

    async def _follow(self, stored: RoutingTable) -> None:
        """Put the store's table in force: a restored snapshot wrote it past us."""
        ours = self.current.now.table.generation
        _LOG.warning("The store's routing table is %d, ours %d; the store's is taken.", stored.generation, ours)
        await asyncio.gather(*(self._try_to_load(version) for version in stored.versions.values()))
        await self._switch(stored)

    async def _switch(self, table: RoutingTable) -> None:
        """Put a table in force, and hold what it does not need any more."""
        before = self.current.now.table
        snapshot = await asyncio.to_thread(Snapshot.of, table, self._contract_of)
        others = self.current.switch(snapshot)
        self.metrics.swaps += 1
        for route in before.routes.values():
            for version in route.versions:
                if version.digest not in table.versions:
                    self._hold(route.capability, version)
        if others:
            self._run(self.changed())

    async def _loaded(self, version: PluginVersion, *, known: bool) -> None:
        """Load a version; one that the table already lives with may be in trouble."""
        try:
            await self.load(version)
        except PluginRegistrationFailed as error:
            if not known:
                raise
            self.failed[version.digest] = error.message

    def _check(self, route: Route) -> None:
        if not route.versions:
            raise InvalidInput(
                f"The route of {route.capability} names no version.", hint="Name a control, a candidate, or remove it."
            )
        for version in route.versions:
            contract = self._contract_of(version)
            if contract is not None and contract.interface(route.capability) is None:
                raise InvalidInput(
                    f"{version.id} does not provide {route.capability}.",
                    hint=f"It provides {', '.join(contract.capabilities)}.",
                )

    def _hold(self, capability: str, version: PluginVersion) -> None:
        earlier = self._held.get(capability)
        if earlier is not None:
            earlier.release.set()
        hold = self._held[capability] = Hold(version)
        self._run(self._retire(capability, hold))

    async def _retire(self, capability: str, hold: Hold) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hold.release.wait(), self.patience.hold)
        while self.asking(hold.version.digest):
            await asyncio.sleep(LOOK_SECONDS)
        async with self._lock:
            if self._held.get(capability) is hold:
                del self._held[capability]
            wanted = hold.version.digest in self.current.now.table.versions
            held = any(other.version.digest == hold.version.digest for other in self._held.values())
        if not wanted and not held:
            report = await self.host.unload(hold.version.digest, self.patience.drain)
            if report.killed_in_flight:
                _LOG.warning("%s was put down with %d calls open.", hold.version.id, report.killed_in_flight)

    async def _try_to_load(self, version: PluginVersion) -> bool:
        try:
            await self.load(version)
        except UpgradeLoopError as error:
            _LOG.error("%s does not come up: %s %s", version.id, error.message, error.hint)
            self.failed[version.digest] = error.message
            return False
        return True

    async def _keep_trying(self, version: PluginVersion) -> None:
        pause = FIRST_RETRY_SECONDS
        while version.digest in self.failed and version.digest in self.current.now.table.versions:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_RETRY_SECONDS)
            if await self._try_to_load(version):
                self.current.switch(Snapshot.of(self.current.now.table, self._contract_of))
                await self.changed()

    def _trouble_of(self, version: PluginVersion, standing: LoadedVersion | None) -> str:
        if standing is None:
            return f"{version.id} is not loaded: {self.failed.get(version.digest, 'it was never asked to be')}"
        if standing.state not in ANSWERING:
            return f"{version.id} is {standing.state}: {standing.reason or 'it takes no calls'}"
        return ""

    def _contract_of(self, version: PluginVersion) -> PluginContract | None:
        try:
            return self.host.contract(version.digest)
        except UpgradeLoopError:
            return None

    def _run(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _with(table: RoutingTable, route: Route) -> RoutingTable:
    return table if table.routes.get(route.capability) == route else table.with_route(route)


def _without(table: RoutingTable, capability: str) -> RoutingTable:
    return table.without(capability) if capability in table.routes else table


def _needs(route: Route, digest: str) -> bool:
    return any(version.digest == digest for version in route.versions)
