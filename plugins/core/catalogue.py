"""Spec 3.3, plugin registry database - decides how the house lists the plugins it keeps.

    registry/index.json                 every version that is kept, and where it stands
    registry/metadata/<version>.json    how it came: when, by whom, through which phases

Rules:
- The index is made from the packages and the plugin folders; it is made anew when it is lost, damaged, or no longer
  what they are. Nothing that only the index knew can be lost with it.
- Every file is written whole or not at all; what is read twice is the same twice.
- Metadata of a version whose package is gone goes at the next look.
- A registered version that stands nowhere, because its folder was lost, stands again where the routes say: who serves
  is installed, who is being tried is experimental, everybody else is out of service.

Not here: packages on offer elsewhere (`registry.py`), where a version stands (`folders.py`).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from domain.contracts import PluginPackage
from domain.errors import ManifestInvalid, NotFound
from domain.registration import IndexedPlugin, PluginMetadata
from domain.routing import PluginVersion, RoutingTable
from plugins.core.folders import PluginFolders
from plugins.core.packages import PackageStore, write_whole

_LOG = logging.getLogger("upgrade_loop.plugins")
_ROWS = TypeAdapter(tuple[IndexedPlugin, ...])


class Catalogue:
    """The plugin registry database of one home.

    Args:
        root: the home's plugin folder.
        packages: where the packages are kept.
        folders: where the versions stand.
    """

    def __init__(self, root: Path, packages: PackageStore, folders: PluginFolders) -> None:
        self._root = root / "registry"
        self._packages = packages
        self._folders = folders

    @property
    def index(self) -> Path:
        """The file that lists all versions."""
        return self._root / "index.json"

    def record(self, metadata: PluginMetadata) -> None:
        """Remember how a version came, and list it."""
        write_whole(self._metadata_of(metadata.version), metadata.model_dump_json(indent=2).encode())
        self.entries()

    def metadata(self, version: PluginVersion) -> PluginMetadata | None:
        """Return what is remembered of a version, None if nothing that can be read."""
        try:
            return PluginMetadata.model_validate_json(self._metadata_of(version).read_bytes())
        except (OSError, ValidationError):
            return None

    def entries(self) -> list[IndexedPlugin]:
        """Return every version that is kept, by name, the newest first."""
        written = {row.version.digest: row for row in self._read()}
        rows = [row for digest in self._packages.digests() if (row := self._row(digest, written)) is not None]
        rows.sort(key=lambda row: row.version.version, reverse=True)
        rows.sort(key=lambda row: row.version.plugin)
        if tuple(rows) != tuple(written.values()):
            with contextlib.suppress(OSError):
                write_whole(self.index, _ROWS.dump_json(tuple(rows), indent=2))
                self._forget_all_but(rows)
        return rows

    def restore(self, table: RoutingTable, registered: Collection[str]) -> list[PluginVersion]:
        """Let registered versions that stand nowhere stand where the routes say, and return them.

        Args:
            table: the routes in force.
            registered: digests of the versions that have come through a registration.
        """
        installed = {route.control.digest for route in table.routes.values() if route.control}
        tried = {route.candidate.digest for route in table.routes.values() if route.candidate}
        lost = [row.version for row in self.entries() if row.standing is None and row.version.digest in registered]
        for version in lost:
            if version.digest in installed:
                self._folders.install(version)
            elif version.digest in tried:
                self._folders.experiment(version)
            else:
                self._folders.deprecate(version)
        if lost:
            _LOG.warning("Stand again where the routes say: %s", ", ".join(version.id for version in lost))
            self.entries()
        return lost

    def find(self, name: str, version: str | None = None) -> IndexedPlugin:
        """Return the version of a plugin that is meant: the one named, else the newest, an installed one first.

        Raises:
            NotFound: there is none.
        """
        named = [row for row in self.entries() if row.version.plugin == name and version in {None, row.version.version}]
        if not named:
            known = ", ".join(row.id for row in self.entries()) or "none"
            wanted = f"{name}@{version}" if version else name
            raise NotFound(f"There is no plugin {wanted} here.", hint=f"Plugins here: {known}.")
        return next((row for row in named if row.standing == "installed"), named[0])

    def _row(self, digest: str, written: dict[str, IndexedPlugin]) -> IndexedPlugin | None:
        """Return the row of a package: the written one if only its standing can have changed, which is looked up."""
        row = written.get(digest)
        if row is None:
            try:
                row = _row_of(self._packages.get(digest))
            except (ManifestInvalid, NotFound) as wrong:
                _LOG.warning("%s is not listed: %s", digest[:12], wrong)
                return None
        metadata = self.metadata(row.version)
        at = metadata.registered_at if metadata else row.registered_at
        return row.model_copy(update={"standing": self._folders.standing_of(row.version), "registered_at": at})

    def _read(self) -> tuple[IndexedPlugin, ...]:
        try:
            return _ROWS.validate_json(self.index.read_bytes())
        except (OSError, ValidationError):
            return ()

    def _metadata_of(self, version: PluginVersion) -> Path:
        return self._root / "metadata" / f"{version.plugin}-{version.version}-{version.digest[:12]}.json"

    def _forget_all_but(self, rows: list[IndexedPlugin]) -> None:
        kept = {self._metadata_of(row.version).name for row in rows}
        for path in (self._root / "metadata").glob("*.json"):
            if path.name not in kept:
                path.unlink(missing_ok=True)


def _row_of(package: PluginPackage) -> IndexedPlugin:
    contract = package.contract
    return IndexedPlugin(
        id=package.id,
        version=PluginVersion(plugin=contract.name, version=contract.version, digest=package.digest),
        standing=None,
        capabilities=contract.capabilities,
        description=contract.description,
        size_bytes=package.size_bytes,
    )
