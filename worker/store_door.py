"""Spec 3.4, loading without a gateway - decides what becomes of a plugin order while nobody serves.

Rules:
- A version is proved in a host of its own, which ends with the order; its routes are written for the next gateway.

Not here: the order (`worker/plugin_house.py`), the door that serves (`activities/loading.py`).
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from domain.contracts import PluginContract
from domain.plugins import LoadReport, UnloadReport
from domain.routing import PluginVersion, Route, RoutingTable
from plugins.core.host import PluginHost
from store.database import Store

DRAIN_SECONDS = 5.0


class StoreDoor:
    """The door while no gateway runs: versions are proved in a host of its own, routes wait for the next start.

    Args:
        host: proves versions.
        store: holds the routes.
    """

    def __init__(self, host: PluginHost, store: Store) -> None:
        self._host = host
        self._store = store

    async def table(self) -> RoutingTable:
        """Return the routes that the next gateway starts with."""
        return await asyncio.to_thread(self._store.routes.load)

    async def load(self, version: PluginVersion) -> LoadReport:
        """Prove a version."""
        return await self._host.load(version)

    async def unload(self, digest: str) -> UnloadReport:
        """Let go of a version."""
        return await self._host.unload(digest, DRAIN_SECONDS)

    async def set_route(self, route: Route) -> RoutingTable:
        """Write a route down."""
        table = await self.table()
        if table.routes.get(route.capability) == route:
            return table
        return await self._saved(table.with_route(route))

    async def remove_route(self, capability: str) -> RoutingTable:
        """Write down that a capability is out of service."""
        table = await self.table()
        return await self._saved(table.without(capability)) if capability in table.routes else table

    async def check(self, version: PluginVersion, contract: PluginContract) -> str:
        """Say nothing against a version: it was proved, and nobody calls it."""
        del version, contract
        return ""

    async def _saved(self, table: RoutingTable) -> RoutingTable:
        await asyncio.to_thread(self._store.routes.save, table, datetime.now(UTC))
        return table
