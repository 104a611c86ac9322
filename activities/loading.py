"""Spec 3.4, loading through the gateway - decides how the loading strategies reach a running door.

Rules:
- A version is well if all its golden calls of methods without side effects are answered, else if it answers at all.

Not here: the strategies (`plugins/core/strategies.py`), the door's own switches (`gateway/swaps.py`).
"""

from __future__ import annotations

from pathlib import Path

from activities.registration import Desk, Occasion, register
from domain.contracts import PluginContract
from domain.errors import PluginRegistrationFailed
from domain.plugins import ANSWERING, LoadReport, UnloadReport
from domain.registration import RegistrationResult
from domain.routing import PluginVersion, Route, RoutingTable
from gateway.admin_client import AdminClient
from plugins.core.packages import read_package
from plugins.core.strategies import Door


class RegisteringDoor:
    """A door that registers a plugin at the moment a strategy loads it.

    For the strategy that stops the old version first: before that the new one may not even be started to be proved.

    Attributes:
        result: of the registration, once there was one.
    """

    def __init__(self, door: Door, desk: Desk, folder: Path, occasion: Occasion) -> None:
        self.result: RegistrationResult | None = None
        self._door = door
        self._order = (desk, folder, occasion)
        self.table, self.unload, self.check = door.table, door.unload, door.check
        self.set_route, self.remove_route = door.set_route, door.remove_route

    async def load(self, version: PluginVersion) -> LoadReport:
        """Register the plugin if it is not yet, and bring it up; load what else is asked for.

        Raises:
            PluginRegistrationFailed: it was refused.
        """
        package = read_package(self._order[1])
        if self.result is None and version.digest == package.digest:
            self.result = await register(*self._order)
            if not self.result.passed:
                raise PluginRegistrationFailed(self.result.summary)
        return await self._door.load(version)


class GatewayDoor:
    """A running gateway as the door of the loading strategies.

    Args:
        gateway: its admin port.
    """

    def __init__(self, gateway: AdminClient) -> None:
        self._gateway = gateway

    async def table(self) -> RoutingTable:
        """Return the routes in force."""
        return (await self._gateway.status()).table

    async def load(self, version: PluginVersion) -> LoadReport:
        """Bring a version up beside the others."""
        return await self._gateway.load(version)

    async def unload(self, digest: str) -> UnloadReport:
        """Let a version finish its calls and end."""
        return await self._gateway.unload(digest)

    async def set_route(self, route: Route) -> RoutingTable:
        """Put a route in force."""
        return await self._gateway.set_route(route)

    async def remove_route(self, capability: str) -> RoutingTable:
        """Take a capability out of service."""
        return await self._gateway.remove_route(capability)

    async def check(self, version: PluginVersion, contract: PluginContract) -> str:
        """Return why a version is sick, empty when it is well."""
        standing = {one.version.digest: one for one in (await self._gateway.status()).versions}.get(version.digest)
        if standing is None or standing.state not in ANSWERING:
            return f"it is {standing.state} ({standing.reason})" if standing else "it is not loaded any more"
        for interface in contract.provided_interfaces:
            for method in interface.methods if standing.instances else ():
                for example in method.examples if method.repeatable else ():
                    probe = await self._gateway.probe(version, interface.name, method.name, example.arguments)
                    if not probe.ok:
                        return f"{method.name} failed a golden call: {probe.message}"
        return "" if standing.instances else "no instance of it lives"
