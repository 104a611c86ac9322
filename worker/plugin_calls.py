"""Spec 3.4, calls by hand - decides which version answers a call that a person makes from the command line.

Rules:
- The version that serves the capability answers: through the running gateway, else in a host of its own.
- A package that is not installed is started from a copy, called once, and leaves nothing behind.
- Such calls do not stand in the ledger: they are nobody's traffic.

Not here: calls of agents (`gateway/calls.py`).
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from domain.base import JsonObject
from domain.calls import ErrorKind
from domain.contracts import tool_name
from domain.errors import NotFound
from domain.routing import PluginVersion
from plugins.core.failures import PluginFailure
from plugins.core.host import PluginHost
from plugins.core.packages import PackageStore
from plugins.core.rounds import Turn
from store.database import Store
from worker.plugin_house import Hosting, PluginHouse

Progress = Callable[[JsonObject], None]


@dataclass(frozen=True)
class Called:
    """How a call ended."""

    tool: str
    version: str
    duration_ms: float
    result: JsonObject | None = None
    error: ErrorKind | None = None
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is a result."""
        return self.error is None


async def call_package(
    folder: Path, hosting: Hosting, tool: tuple[str, str], arguments: JsonObject, progress: Progress | None = None
) -> Called:
    """Call a method of a package that need not be installed, behind the walls that it would have.

    Args:
        folder: the package.
        hosting: makes the host that runs it.
        tool: capability and method.
        arguments: for the method.
        progress: told how far the call is.

    Raises:
        ManifestInvalid: the folder is no package.
        PluginRegistrationFailed: it does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="plugin-call-") as place:
        packages = PackageStore(Path(place))
        package = await asyncio.to_thread(packages.add, folder)
        contract = package.contract
        version = PluginVersion(plugin=contract.name, version=contract.version, digest=package.digest)
        return await _called(hosting(packages), version, tool, arguments, progress)


async def call_serving(
    house: PluginHouse, store: Store, tool: tuple[str, str], arguments: JsonObject, progress: Progress | None = None
) -> Called:
    """Call a method of the version that serves a capability.

    Raises:
        NotFound: nobody serves it.
        PluginRegistrationFailed: no gateway runs, and the version does not come up.
    """
    capability, method = tool
    table = await asyncio.to_thread(store.routes.load)
    route = table.routes.get(capability)
    if route is None or not route.versions:
        known = ", ".join(sorted(table.routes)) or "none"
        raise NotFound(f"Nobody serves {capability}.", hint=f"Capabilities in service: {known}.")
    version = route.versions[0]
    async with house.door() as (_, gateway):
        if gateway is None:
            return await _called(house.host(), version, tool, arguments, progress)
        probe = await gateway.probe(version, capability, method, arguments)
    name = tool_name(capability, method)
    return Called(name, version.id, probe.duration_ms, probe.result, probe.error, probe.message)


async def _called(
    host: PluginHost,
    version: PluginVersion,
    tool: tuple[str, str],
    arguments: JsonObject,
    progress: Progress | None,
) -> Called:
    clock = asyncio.get_running_loop().time
    try:
        await host.load(version)
        started = clock()
        try:
            result = await host.call(version, *tool, arguments, turn=Turn(progress))
        except PluginFailure as failure:
            duration = (clock() - started) * 1_000
            return Called(tool_name(*tool), version.id, duration, error=failure.kind, message=failure.message)
        return Called(tool_name(*tool), version.id, (clock() - started) * 1_000, result)
    finally:
        await host.close()
