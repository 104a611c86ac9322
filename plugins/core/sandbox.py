"""Spec 3.1, sandboxed registration - decides with which program, environment and folder a plugin process starts.

Rules:
- A plugin sees no environment but what its contract names and what its interpreter needs.
- It starts in a private folder that is empty at first and gone at the end.
- It runs isolated (`-I -S`): no user site, no `.pth` file, no `PYTHON*` variable, nothing of the house's packages.
- The walls are one port, `Jail`: it says how the process is started, and what it is to give up before it imports
  anything of the plugin.

Not here: which walls (`isolation.py`), what a process gives up (`walls.py`), the Windows job (`jobs.py`).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from domain.base import JsonObject
from domain.contracts import PluginContract
from domain.isolation import Isolation
from plugins.core.bytecode import compiled

RUNTIME = Path(__file__).with_name("runtime.py")
MEMORY_FLOOR_MB = 64
"""What the interpreter and its threads need before the plugin has anything."""
MOST_PROCESSES = 32
"""Of a plugin that may start some, itself and all threads included."""


@dataclass(frozen=True)
class Launch:
    """How a child process is started.

    Attributes:
        cwd: the private folder it starts in, which is removed after its end.
        isolation: the tier it then runs in.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: Path
    isolation: Isolation


class Jail(Protocol):
    """Builds the walls a plugin process starts in."""

    def launch(self, folder: Path, contract: PluginContract, workspace: Path) -> Launch:
        """Return how to start the runtime over `folder` with `workspace` as its only writable place.

        Raises:
            PluginFailure: the walls that it needs cannot be built here, or it asks for more than it may have.
        """


class PlainJail:
    """The tier `trusted`: isolated interpreter, minimal environment, resource limits, and no walls."""

    def launch(self, folder: Path, contract: PluginContract, workspace: Path) -> Launch:
        """Return how to start the runtime over `folder` with `workspace` as its working folder."""
        argv = runtime_argv(folder, limits_of(contract))
        return Launch(argv, environment_for(contract, workspace), workspace, Isolation.TRUSTED)


def runtime_argv(folder: Path, limits: JsonObject) -> tuple[str, ...]:
    """Return the command that runs the runtime over a package within limits."""
    return (
        interpreter(),
        *("-I", "-S", "-B", "-X", "utf8"),
        str(compiled() / "runtime.pyc"),
        str(folder),
        json.dumps(limits, separators=(",", ":")),
    )


def limits_of(contract: PluginContract) -> JsonObject:
    """Return what `walls.contain` is told for a plugin without walls."""
    resources = contract.resource_requirements
    return {"memory_mb": memory_limit_mb(contract), "disk_mb": resources.disk_mb, "shared": not contract.command}


def memory_limit_mb(contract: PluginContract) -> int:
    """Return the memory bound of one instance: what the contract asks for, but enough to start at all."""
    return max(contract.resource_requirements.memory_mb, MEMORY_FLOOR_MB)


def interpreter() -> str:
    """Return the Python to run: the one behind the environment's, whose libraries no plugin sees."""
    return str(getattr(sys, "_base_executable", sys.executable))


def environment_for(contract: PluginContract, workspace: Path) -> dict[str, str]:
    """Return the environment of one instance."""
    home = str(workspace)
    needed = {"TMPDIR": home, "TEMP": home, "TMP": home, "HOME": home, "USERPROFILE": home, "LANG": "C.UTF-8"}
    wanted = ("SYSTEMROOT", *contract.security_profile.environment)
    return needed | {name: os.environ[name] for name in wanted if name in os.environ}
