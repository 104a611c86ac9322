"""Spec 3.1, sandboxed registration - decides with which program, environment and folder a plugin process starts.

Rules:
- A plugin sees no environment but what its contract names and what its interpreter needs.
- It starts in a private folder that is empty at first and gone at the end.
- It runs isolated (`-I -S`): no user site, no `.pth` file, no `PYTHON*` variable, nothing of the house's packages.
- The walls are one port, `Jail`; which of them a plugin gets is chosen in `isolation.py`.

Not here: the limits that the process gives itself (`runtime.contain`), the Windows job (`jobs.py`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from domain.contracts import PluginContract
from domain.isolation import Isolation

RUNTIME = Path(__file__).with_name("runtime.py")
MEMORY_FLOOR_MB = 64
"""What the interpreter and its threads need before the plugin has anything."""


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
            PluginFailure: the plugin may not run behind these walls.
        """


class PlainJail:
    """The tier `trusted`: isolated interpreter, minimal environment, resource limits, and no walls."""

    def launch(self, folder: Path, contract: PluginContract, workspace: Path) -> Launch:
        """Return how to start the runtime over `folder` with `workspace` as its working folder."""
        argv = (
            interpreter(),
            "-I",
            "-S",
            "-B",
            "-X",
            "utf8",
            str(RUNTIME),
            str(folder),
            str(memory_limit_mb(contract)),
        )
        return Launch(argv, environment_for(contract, workspace), workspace, Isolation.TRUSTED)


def memory_limit_mb(contract: PluginContract) -> int:
    """Return the memory bound of one instance: what the contract asks for, but enough to start at all."""
    return max(contract.resource_requirements.memory_mb, MEMORY_FLOOR_MB)


def interpreter() -> str:
    """Return the Python to run; on Windows the one behind the venv's launcher, which would be a process of its own."""
    if sys.platform == "win32":
        return str(getattr(sys, "_base_executable", sys.executable))
    return sys.executable


def environment_for(contract: PluginContract, workspace: Path) -> dict[str, str]:
    """Return the environment of one instance."""
    home = str(workspace)
    needed = {"TMPDIR": home, "TEMP": home, "TMP": home, "HOME": home, "USERPROFILE": home, "LANG": "C.UTF-8"}
    wanted = ("SYSTEMROOT", *contract.security_profile.environment)
    return needed | {name: os.environ[name] for name in wanted if name in os.environ}
