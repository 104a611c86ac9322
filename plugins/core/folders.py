"""Spec 3.3, plugin directory structure - decides in which of the plugin folders a version stands.

Rules:
- `installed/`, `experimental/` and `deprecated/` hold one small file for each version, which points at its package by
  digest. Packages themselves never move, so a version changes its standing while it runs.
- A version stands in one folder. Installing another version of a plugin does not touch the first: who takes it out of
  service says so.
- Every change is one file written whole and one removed; repeating a change changes nothing.

Not here: the packages (`plugins/core/packages.py`), what is routed (`store/routes.py`).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from domain.plugins import Standing
from domain.routing import PluginVersion
from plugins.core.packages import write_whole


class PluginFolders:
    """The plugin folders of one home."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def install(self, version: PluginVersion) -> None:
        """Let a version stand among the installed ones."""
        self._stand(version, Standing.INSTALLED)

    def experiment(self, version: PluginVersion) -> None:
        """Let a version stand among those that are being tried."""
        self._stand(version, Standing.EXPERIMENTAL)

    def deprecate(self, version: PluginVersion) -> None:
        """Let a version stand among those that are out of service."""
        self._stand(version, Standing.DEPRECATED)

    def remove(self, version: PluginVersion) -> None:
        """Let a version stand nowhere."""
        for standing in Standing:
            self._pointer(version, standing).unlink(missing_ok=True)

    def standing_of(self, version: PluginVersion) -> Standing | None:
        """Return where a version stands, None if nowhere."""
        return next((standing for standing in Standing if self._pointer(version, standing).exists()), None)

    def versions(self, standing: Standing) -> list[PluginVersion]:
        """Return the versions of one folder; a damaged pointer, or one just removed, is left out."""
        found = []
        for path in sorted((self._root / standing).glob("*.json")):
            try:
                found.append(PluginVersion.model_validate_json(path.read_text(encoding="utf-8")))
            except (OSError, ValidationError, UnicodeDecodeError):
                continue
        return found

    def _stand(self, version: PluginVersion, standing: Standing) -> None:
        target = self._pointer(version, standing)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, version.model_dump_json(indent=2).encode())
        for other in Standing:
            if other is not standing:
                self._pointer(version, other).unlink(missing_ok=True)

    def _pointer(self, version: PluginVersion, standing: Standing) -> Path:
        return self._root / standing / f"{version.plugin}-{version.version}-{version.digest[:12]}.json"
