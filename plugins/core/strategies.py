"""Spec 3.4, DynamicPluginLoader - decides in which order a version comes up, gets its callers, and the old one ends.

    hot_swap     load beside the old one (proven, warm) -> switch each capability by one assignment -> old drains, ends
    blue_green   the same with the old one kept whole for a while: one assignment switches back if the new one is sick
    canary       load beside the old one -> a share of the callers; the router keeps each caller where it is
    standard     old one out of service, drained, ended -> load -> switch; the old one comes back if that fails

Rules:
- Whatever fails, the callers are where they were before: a version that does not come up never had any.
- A version of which two cannot run side by side takes `standard`; nobody else has to, since it leaves a gap.
- A capability in the middle of a rollout is left alone.
- The order given last wins; strategies for one capability are carried out one after the other by who serves it.

Not here: how a switch is atomic (`gateway/swaps.py`), rollouts in stages (`workflows/rollout.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from domain.contracts import PluginContract
from domain.errors import ServiceUnreachable, UpgradeLoopError
from domain.plugins import LoadingStrategy, LoadReport, LoadResult, UnloadReport
from domain.routing import PluginVersion, Route, RoutingTable


class Door(Protocol):
    """What serves callers, as far as bringing versions into service needs it."""

    async def table(self) -> RoutingTable:
        """Return the routes in force."""

    async def load(self, version: PluginVersion) -> LoadReport:
        """Bring a version up beside the others, proven and warm; idempotent."""

    async def unload(self, digest: str) -> UnloadReport:
        """Let a version finish its calls and end; refused while a route needs it."""

    async def set_route(self, route: Route) -> RoutingTable:
        """Put a route in force by one assignment."""

    async def remove_route(self, capability: str) -> RoutingTable:
        """Take a capability out of service."""

    async def check(self, version: PluginVersion, contract: PluginContract) -> str:
        """Return why a version is sick, empty when it is well."""


@dataclass(frozen=True)
class Terms:
    """How a strategy is carried out.

    Attributes:
        share: of the callers that a canary serves.
        window_seconds: how long blue-green keeps the old version whole and looks at the new one.
        look_seconds: between two looks.
    """

    share: float = 0.1
    window_seconds: float = 60.0
    look_seconds: float = 1.0


class DynamicLoader:
    """Brings versions into service.

    Args:
        door: what serves callers.
        terms: how the strategies are carried out.
    """

    def __init__(self, door: Door, terms: Terms | None = None) -> None:
        self._door = door
        self._terms = terms or Terms()
        self._carry_out: dict[LoadingStrategy, Callable[[_Change], Awaitable[None]]] = {
            LoadingStrategy.HOT_SWAP: self._hot_swap,
            LoadingStrategy.BLUE_GREEN: self._blue_green,
            LoadingStrategy.CANARY: self._canary,
            LoadingStrategy.STANDARD: self._standard,
        }

    async def load_plugin_dynamically(
        self, version: PluginVersion, contract: PluginContract, strategy: LoadingStrategy = LoadingStrategy.HOT_SWAP
    ) -> LoadResult:
        """Bring a version into service for all its capabilities.

        Returns:
            Whom it serves now; a result that has not passed leaves every caller where they were.

        Raises:
            ServiceUnreachable: the door does not answer.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        change = _Change(version, contract, strategy, await self._door.table())
        reason, switched_back = change.objection, False
        if not reason:
            try:
                await self._carry_out[strategy](change)
            except _Sick as sick:
                reason, switched_back = str(sick), True
            except ServiceUnreachable:
                raise
            except UpgradeLoopError as failure:
                reason = f"{failure.message} {failure.hint}".strip()
        return LoadResult(
            strategy=strategy,
            version=version,
            passed=not reason,
            serving=change.shares(await self._door.table()),
            replaced=change.replaced,
            switched_back=switched_back,
            seconds=clock() - started,
            reason=reason,
        )

    async def switch_back(self, result: LoadResult) -> RoutingTable:
        """Give the callers of a version back to the ones that served them before, by one assignment each.

        Quick as long as those are still warm; else they are loaded first.

        Raises:
            UpgradeLoopError: a version of before does not come up.
        """
        for capability in result.serving:
            before = result.replaced.get(capability)
            if before is None:
                await self._door.remove_route(capability)
            else:
                await self._door.set_route(Route(capability=capability, control=before))
        return await self._door.table()

    async def _hot_swap(self, change: _Change) -> None:
        await self._door.load(change.version)
        await self._switch(change)
        await self._end(change)

    async def _blue_green(self, change: _Change) -> None:
        await self._door.load(change.version)
        for before in change.replaced.values():
            await self._door.load(before)
        await self._switch(change)
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._terms.window_seconds
        while clock() < deadline:
            await asyncio.sleep(min(self._terms.look_seconds, max(deadline - clock(), 0)))
            if sickness := await self._door.check(change.version, change.contract):
                await self._restore(change)
                raise _Sick(f"{change.version.id} was taken back within its window: {sickness}")

    async def _canary(self, change: _Change) -> None:
        await self._door.load(change.version)
        try:
            for capability in change.capabilities:
                await self._door.set_route(change.canary(capability, self._terms.share))
        except UpgradeLoopError:
            await self._restore(change)
            raise

    async def _standard(self, change: _Change) -> None:
        try:
            for capability in change.replaced:
                await self._door.remove_route(capability)
            await self._end(change)
            await self._door.load(change.version)
            await self._switch(change)
        except UpgradeLoopError:
            await self._restore(change)
            raise

    async def _switch(self, change: _Change) -> None:
        """Give the version all callers, of every capability or of none."""
        try:
            for capability in change.capabilities:
                await self._door.set_route(Route(capability=capability, control=change.version))
        except UpgradeLoopError:
            await self._restore(change)
            raise

    async def _restore(self, change: _Change) -> None:
        """Put the routes of before in force again, where they are not."""
        for capability in change.capabilities:
            before = change.before.routes.get(capability)
            if before is None:
                await self._door.remove_route(capability)
            else:
                await self._door.set_route(before)

    async def _end(self, change: _Change) -> None:
        """Let the versions of before finish and end, unless they still serve something else."""
        needed = (await self._door.table()).versions
        for before in {one.digest: one for one in change.replaced.values()}.values():
            if before.digest not in needed:
                await self._door.unload(before.digest)


class _Sick(Exception):
    """A version that had callers and lost them again."""


@dataclass(frozen=True)
class _Change:
    """What is to become of whose callers."""

    version: PluginVersion
    contract: PluginContract
    strategy: LoadingStrategy
    before: RoutingTable

    @property
    def capabilities(self) -> tuple[str, ...]:
        return self.contract.capabilities

    @property
    def replaced(self) -> dict[str, PluginVersion]:
        routes = ((name, self.before.routes.get(name)) for name in self.capabilities)
        return {
            name: route.control
            for name, route in routes
            if route is not None and route.control is not None and route.control.digest != self.version.digest
        }

    @property
    def objection(self) -> str:
        """Why the strategy is not even begun; empty when it is."""
        if not self.contract.hot_swap_safe and self.strategy is not LoadingStrategy.STANDARD and self.replaced:
            return f"Two versions of {self.version.plugin} cannot run side by side; use the standard strategy."
        if kept := self.left_behind:
            return (
                f"{kept[0]} is served by the version that would have to end, and {self.version.id} does not provide it."
            )
        for name in self.capabilities:
            route = self.before.routes.get(name)
            if route is not None and route.upgrade_id is not None and route.candidate is not None:
                return f"{name} is in the middle of the rollout {route.upgrade_id}; end it first."
        return ""

    @property
    def left_behind(self) -> list[str]:
        """Capabilities that nobody would serve if the versions of before ended."""
        if self.strategy is not LoadingStrategy.STANDARD:
            return []
        ending = {one.digest for one in self.replaced.values()}
        others = [route for name, route in self.before.routes.items() if name not in self.capabilities]
        return [route.capability for route in others if {one.digest for one in route.versions} & ending]

    def canary(self, capability: str, share: float) -> Route:
        control = self.replaced.get(capability)
        salt = f"canary/{self.version.id}"
        return Route(capability=capability, control=control, candidate=self.version, share=share, salt=salt)

    def shares(self, table: RoutingTable) -> dict[str, float]:
        """Return the share of callers the version has of each capability, where it has any."""
        found = {}
        for name in self.capabilities:
            route = table.routes.get(name)
            if route is not None and route.control == self.version:
                found[name] = 1.0 if route.candidate is None else 1.0 - route.share
            elif route is not None and route.candidate == self.version:
                found[name] = route.share
        return found
