"""Spec 3.3, plugin registry - decides what is on offer, and where a package on offer lies.

A registry is a folder: `packages/<name>/<version>/` holds the packages, `index.json` lists them with their digests.

Rules:
- The index is a convenience, made anew whenever it is lost, damaged, or no longer what the packages are.
- A package that cannot be read is left out and told; it never hides the others.
- An index is written whole or not at all; where the folder cannot be written to, the registry works without one.

Not here: whether a package may be trusted (`engines/security.py`), installing it (`plugins/core/packages.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import stat
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from domain.base import Model
from domain.contracts import PluginPackage
from domain.errors import ManifestInvalid, NotFound
from plugins.core.packages import read_package, write_whole

logger = logging.getLogger("upgrade_loop.registry")


class IndexEntry(Model):
    """One package on offer.

    Attributes:
        folder: where it lies, relative to the registry, with forward slashes.
        stamp: digest of its files' names, sizes and times, to notice a package that was changed in place.
    """

    package: PluginPackage
    folder: str
    stamp: str


class RegistryIndex(Model):
    """`index.json`."""

    entries: tuple[IndexEntry, ...] = ()


class PluginRegistry:
    """A folder of packages on offer."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: dict[str, IndexEntry] = {}

    def entries(self) -> list[PluginPackage]:
        """Return every package on offer, by name, the newest version first."""
        packages = [entry.package for entry in self._current()]
        packages.sort(key=lambda package: package.contract.version, reverse=True)
        return sorted(packages, key=lambda package: package.contract.name)

    def candidates(self, capability: str) -> list[PluginPackage]:
        """Return the packages that provide a capability, by name, the newest version first."""
        return [package for package in self.entries() if capability in package.contract.capabilities]

    def folder_of(self, package: PluginPackage) -> Path:
        """Return where a package on offer lies.

        Raises:
            NotFound: it is not on offer.
        """
        for entry in self._current():
            if entry.package.digest == package.digest:
                return self._root / entry.folder
        raise NotFound(f"The registry {self._root} does not offer {package.id} with digest {package.digest[:12]}.")

    def _current(self) -> tuple[IndexEntry, ...]:
        written = {entry.folder: entry for entry in self._read().entries}
        known = {**written, **self._seen}
        found = tuple(entry for folder in self._folders() if (entry := self._entry(folder, known)) is not None)
        self._seen = {entry.folder: entry for entry in found}
        if _offers(found) != _offers(written.values()):
            with contextlib.suppress(OSError):
                write_whole(self._index, RegistryIndex(entries=found).model_dump_json(indent=2).encode())
        return found

    def _entry(self, folder: Path, known: dict[str, IndexEntry]) -> IndexEntry | None:
        name = folder.relative_to(self._root).as_posix()
        try:
            stamp = _stamp(folder)
            if name in known and known[name].stamp == stamp:
                return known[name]
            return IndexEntry(package=read_package(folder), folder=name, stamp=stamp)
        except (ManifestInvalid, OSError) as wrong:
            logger.warning("%s is not offered: %s", name, wrong)
            return None

    def _folders(self) -> list[Path]:
        return sorted(path.parent for path in (self._root / "packages").glob("*/*/manifest.json"))

    def _read(self) -> RegistryIndex:
        try:
            return RegistryIndex.model_validate_json(self._index.read_text(encoding="utf-8"))
        except (OSError, ValidationError, UnicodeDecodeError):
            return RegistryIndex()

    @property
    def _index(self) -> Path:
        return self._root / "index.json"


def _offers(entries: Iterable[IndexEntry]) -> list[tuple[str, PluginPackage]]:
    """Return what an index offers; stamps aside, which differ from one copy of the same registry to another."""
    return [(entry.folder, entry.package) for entry in entries]


def _stamp(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        if not stat.S_ISDIR(facts.st_mode) and "__pycache__" not in path.parts:
            told = (path.relative_to(folder).as_posix(), facts.st_mode, facts.st_size, facts.st_mtime_ns)
            digest.update(f"{told}\n".encode())
    return digest.hexdigest()
