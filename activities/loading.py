"""Spec 3.4, loading through the gateway - decides how the loading strategies reach a running door.

Rules:
- A version is well if all its golden calls of methods without side effects are answered, else if it answers at all.
- A route whose version cannot run beside the one it replaces is put in force by the `standard` strategy, whoever asks
  for it: the first stage of a rollout, or what takes it back.

Not here: the strategies (`plugins/core/strategies.py`), the door's own switches (`gateway/swaps.py`).
"""

from __future__ import annotations

from pathlib import Path

from activities.context import Context
from activities.registration import Desk, Occasion, register
from activities.security import policy_of
from domain.contracts import PluginContract
from domain.errors import PluginRegistrationFailed
from domain.plugins import ANSWERING, LoadingStrategy, LoadReport, UnloadReport
from domain.registration import RegistrationResult
from domain.routing import PluginVersion, Route, RoutingTable
from gateway.admin_client import AdminClient
from plugins.core.catalogue import Catalogue
from plugins.core.packages import PackageStore, read_package
from plugins.core.strategies import Door, DynamicLoader


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


def desk_of(context: Context, gateway: AdminClient) -> Desk:
    """Return what the loop's registrations work with."""
    return Desk(
        packages=context.packages,
        folders=context.folders,
        catalogue=Catalogue(context.home.plugins, context.packages, context.folders),
        store=context.store,
        policy=policy_of(context.settings, context.market()),
        market=context.market(),
        runner=gateway,
    )


async def bring_alone(door: Door, version: PluginVersion, contract: PluginContract) -> None:
    """Give a version the callers of the one it replaces, which has ended before it starts.

    Raises:
        PluginRegistrationFailed: it does not come up; the one before serves again.
    """
    brought = await DynamicLoader(door).load_plugin_dynamically(version, contract, LoadingStrategy.STANDARD)
    if not brought.passed:
        raise PluginRegistrationFailed(brought.reason)


async def put_in_force(gateway: AdminClient, packages: PackageStore, route: Route) -> None:
    """Put a route in force as the contracts of its versions, and of those it replaces, allow.

    Raises:
        PluginRegistrationFailed: a version of it does not come up.
    """
    serving = (await gateway.status()).table.routes.get(route.capability)
    wanted = route.control
    if serving is not None and wanted is not None and route.candidate is None and wanted not in serving.versions:
        contract = packages.get(wanted.digest).contract
        before = [packages.get(one.digest).contract for one in serving.versions]
        if not all(one.hot_swap_safe for one in (contract, *before)):
            await bring_alone(GatewayDoor(gateway), wanted, contract)
    await gateway.set_route(route)
