"""The plugin that is measured: it adds two numbers, so that next to nothing of a call's time is its own.

Not here: what it is measured behind (`fronts.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from config.home import Home
from domain.base import JsonObject
from domain.routing import PluginVersion, Route
from domain.versions import SemanticVersion
from plugins.core.packages import PackageStore

CAPABILITY: Final = "sums"
METHOD: Final = "add"
ARGUMENTS: Final[JsonObject] = {"a": 19, "b": 23}
SUM: Final = 42
_NUMBER: Final = {"type": "integer"}
_METHOD: Final = {
    "name": METHOD,
    "description": "Add two whole numbers.",
    "side_effects": "none",
    "timeout_seconds": 30,
    "input_schema": {
        "type": "object",
        "properties": {"a": _NUMBER, "b": _NUMBER},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
    "output_schema": {"type": "object", "properties": {"sum": _NUMBER}, "required": ["sum"]},
    "examples": [{"arguments": {"a": 1, "b": 2}, "result": {"sum": 3}}],
}
_SOURCE: Final = '''"""Adds."""


class Sums:
    def add(self, a, b):
        return {{"sum": a + b}}


capabilities = {{"{capability}": Sums()}}
'''


def write_package(folder: Path, version: str, capability: str = CAPABILITY) -> Path:
    """Write the plugin's package below a folder and return where it lies."""
    manifest = {
        "name": f"{capability}_plugin",
        "version": version,
        "description": "Adds numbers.",
        "provided_interfaces": [{"name": capability, "version": "1.0.0", "methods": [_METHOD]}],
    }
    package = folder / f"{capability}-{version}"
    package.mkdir(parents=True)
    (package / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (package / "plugin.py").write_text(_SOURCE.format(capability=capability), encoding="utf-8")
    return package


def install(home: Home, version: str, capability: str = CAPABILITY) -> PluginVersion:
    """Put the plugin among a home's packages."""
    package = PackageStore(home.packages).add(write_package(home.root / "sources", version, capability))
    return PluginVersion(plugin=package.contract.name, version=SemanticVersion(version), digest=package.digest)


def route_to(version: PluginVersion, capability: str = CAPABILITY) -> Route:
    """Return the route by which everybody reaches a version."""
    return Route(capability=capability, control=version)
