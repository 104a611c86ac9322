"""Spec 3.1 and 3.4, plugins by hand - decides how a person's plugin gets into service and out of it.

Rules:
- With a running gateway everything happens behind its door; without one the plugin is proved in a host of its own, and
  the route is written for the gateway's next start.
- Installing is the registration of 3.1 and then a loading strategy of 3.4. A person vouches for the content they name.
- Retiring takes a version out of its routes, lets it finish, runs its last hook, and leaves it among the deprecated.

Not here: the phases (`activities/registration.py`), the strategies (`plugins/core/strategies.py`), words for a person
(`worker/commands/plugin.py`).
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from activities.loading import GatewayDoor, RegisteringDoor
from activities.registration import Desk, Occasion, examine, register
from activities.security import policy_of
from config.home import Home
from config.settings import Settings
from domain.base import JsonObject
from domain.contracts import PluginPackage
from domain.errors import GatewayUnreachable, IllegalTransition, InvalidInput, NotFound
from domain.plugins import LoadingStrategy, LoadResult
from domain.registration import IndexedPlugin, RegistrationResult
from domain.routing import PluginVersion, Route
from domain.security import SecurityPolicy
from gateway.admin_client import AdminClient
from plugins.core.archives import unpack
from plugins.core.catalogue import Catalogue
from plugins.core.folders import PluginFolders
from plugins.core.host import PluginHost
from plugins.core.isolation import chosen_jail
from plugins.core.network import Network
from plugins.core.packages import PackageStore, read_package
from plugins.core.registry import PluginRegistry
from plugins.core.strategies import Door, DynamicLoader, Terms
from store.database import Store
from worker.store_door import DRAIN_SECONDS, StoreDoor

Hosting = Callable[[PackageStore], PluginHost]


@dataclass(frozen=True)
class Wish:
    """How a person wants a plugin to come into service.

    Attributes:
        strategy: how it gets its callers; it gets none when None.
        accept_unproven: whether what cannot be proved of its interface may pass.
    """

    actor: str
    strategy: LoadingStrategy | None = LoadingStrategy.HOT_SWAP
    terms: Terms = field(default_factory=Terms)
    accept_unproven: bool = False


@dataclass(frozen=True)
class Installed:
    """What became of an installation; `loaded` is None when the plugin was refused or was to have no callers."""

    registration: RegistrationResult
    loaded: LoadResult | None
    gateway: bool

    @property
    def passed(self) -> bool:
        """Whether everything wished for happened."""
        return self.registration.passed and (self.loaded is None or self.loaded.passed)


class PluginHouse:
    """A home's plugins, as a person handles them.

    Args:
        home: whose they are.
        settings: of the home.
        store: of the home.
    """

    def __init__(self, home: Home, settings: Settings, store: Store) -> None:
        self._home = home
        self._settings = settings
        self._store = store
        self.packages = PackageStore(home.packages)
        self.folders = PluginFolders(home.plugins)
        self.catalogue = Catalogue(home.plugins, self.packages, self.folders)

    def host(self) -> PluginHost:
        """Return a host of its own, which runs plugins as the settings say."""
        return hosting(self._home, self._settings)(self.packages)

    @asynccontextmanager
    async def door(self) -> AsyncIterator[tuple[Door, AdminClient | None]]:
        """Yield what serves callers: the running gateway, with its admin port, or what stands in for it."""
        try:
            gateway = AdminClient.of(self._home)
            await gateway.status()
        except GatewayUnreachable:
            host = self.host()
            try:
                yield StoreDoor(host, self._store), None
            finally:
                await host.close()
            return
        async with gateway:
            yield GatewayDoor(gateway), gateway

    async def install(self, source: Path, wish: Wish) -> Installed:
        """Register a package folder or archive and bring it into service.

        Raises:
            ManifestInvalid: the archive cannot be unpacked.
            ServiceUnreachable: the store, or a gateway that answered before, does not answer.
        """
        occasion = Occasion(
            at=datetime.now(UTC), actor=wish.actor, source=str(source), accept_unproven=wish.accept_unproven
        )
        with opened(source) as folder:
            async with self.door() as (door, gateway):
                desk = self.desk(door, folder)
                gap = wish.strategy is LoadingStrategy.STANDARD  # who can be refused is, before anybody is stopped
                result = await (examine if gap else register)(desk, folder, occasion)
                if not result.passed or result.version is None or wish.strategy is None:
                    return Installed(result, None, gateway is not None)
                contract = read_package(folder).contract
                behind = RegisteringDoor(door, desk, folder, occasion) if gap else door
                loader = DynamicLoader(behind, wish.terms)
                loaded = await loader.load_plugin_dynamically(result.version, contract, wish.strategy)
                if isinstance(behind, RegisteringDoor) and behind.result is not None:
                    result = behind.result
        if loaded.passed:
            await asyncio.to_thread(self._stand, loaded, wish.actor)
        return Installed(result, loaded, gateway is not None)

    async def examined(self, folder: Path) -> RegistrationResult:
        """Go through the phases of a registration that start nothing."""
        desk = self.desk(StoreDoor(self.host(), self._store), folder)
        return await examine(desk, folder, Occasion(at=datetime.now(UTC), actor=""))

    async def retire(self, plugin: IndexedPlugin, actor: str, *, purge: bool = False) -> list[str]:
        """Take a version out of service and return the capabilities that nobody serves any more.

        Raises:
            IllegalTransition: it is part of a rollout that runs.
        """
        version = plugin.version
        async with self.door() as (door, _):
            gone = await _out_of_routes(door, version)
            await door.unload(version.digest)
        host = self.host()
        try:
            await host.uninstall(version, DRAIN_SECONDS)
        finally:
            await host.close()
        await asyncio.to_thread(self._leave, version, actor, purge=purge)
        return gone

    def market(self) -> list[PluginPackage]:
        """Return what the agent's plugin registry offers."""
        root = self._settings.agent.registry
        return PluginRegistry(root).entries() if root else []

    def policy(self, package: PluginPackage | None) -> SecurityPolicy:
        """Return what the house allows; the named package counts as listed, since a person names its content."""
        return policy_of(self._settings, [*self.market(), *([package] if package else [])])

    def desk(self, door: Door, folder: Path) -> Desk:
        """Return what a registration of a folder works with."""
        try:
            package = read_package(folder)
        except InvalidInput:
            package = None  # the first phase tells what is wrong with it
        return Desk(
            packages=self.packages,
            folders=self.folders,
            catalogue=self.catalogue,
            store=self._store,
            policy=self.policy(package),
            market=self.market(),
            runner=door,
        )

    def _stand(self, loaded: LoadResult, actor: str) -> None:
        """Let the versions stand where they belong now, and write it down."""
        if all(share == 1.0 for share in loaded.serving.values()):
            self.folders.install(loaded.version)
            for before in loaded.replaced.values():
                self.folders.deprecate(before)
        self.catalogue.entries()
        serving: JsonObject = dict(loaded.serving)
        self._audit("plugin.installed", loaded.version, actor, {"strategy": loaded.strategy, "serving": serving})

    def _leave(self, version: PluginVersion, actor: str, *, purge: bool) -> None:
        self.folders.deprecate(version)
        if purge:
            self.folders.remove(version)
            self._store.packages.remove(version.digest)
            self.packages.remove(version.digest)
        self.catalogue.entries()
        self._audit("plugin.purged" if purge else "plugin.retired", version, actor, {})

    def _audit(self, action: str, version: PluginVersion, actor: str, detail: JsonObject) -> None:
        now = datetime.now(UTC)
        self._store.audit.append(
            key=f"{action}/{version.digest}/{now.isoformat()}",
            at=now,
            actor=actor,
            action=action,
            subject=version.id,
            detail={"digest": version.digest, **detail},
        )


def hosting(home: Home, settings: Settings) -> Hosting:
    """Return what makes hosts that run plugins as the settings say."""
    jail, network = chosen_jail(home, settings.security), Network(settings.security.network_hosts)
    return lambda packages: PluginHost(packages, jail=jail, network=network)


@contextmanager
def opened(source: Path) -> Iterator[Path]:
    """Yield the folder of a package that may be packed.

    Raises:
        NotFound: there is nothing of that name.
        ManifestInvalid: the archive cannot be used.
    """
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        hint = "Name a plugin's folder, or the archive it was packed into."
        raise NotFound(f"There is no package {source}.", hint=hint)
    with tempfile.TemporaryDirectory(prefix="plugin-") as place:
        folder = Path(place) / "package"
        unpack(source, folder)
        yield folder


async def _out_of_routes(door: Door, version: PluginVersion) -> list[str]:
    """Take a version out of every route and return the capabilities that have no version left."""
    gone = []
    for capability, route in (await door.table()).routes.items():
        if version not in route.versions:
            continue
        if route.upgrade_id is not None and route.candidate is not None:
            raise IllegalTransition(
                f"{version.id} is part of the rollout {route.upgrade_id} and cannot be retired.",
                hint=f"End it first: upgrade-loop rollouts abort {route.upgrade_id}",
            )
        other = route.control if route.candidate == version else None
        if other is None or other == version:
            await door.remove_route(capability)
            gone.append(capability)
        else:
            await door.set_route(Route(capability=capability, control=other))
    return gone
