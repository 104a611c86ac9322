"""Spec 11.1, walls around the process - decides what a plugin process on Linux can still reach.

Rules:
- `fenced`: the process itself gives up files and calls (`walls.py`) before it imports foreign code. What it may read is
  the interpreter, the libraries of the system, its package and its own code; what it may write is its workspace.
- `sandbox`: the same within namespaces of its own, made by bubblewrap: no network device, no other process, and a file
  system that holds nothing but what may be read, and a workspace in memory with a size. `/proc` is not there at all, so
  that real root, too, finds no `/proc/sys` to write to.
- The walls fall with the host: the sandbox dies with the process that started it.

bubblewrap's options: bwrap(1), 0.8.

Not here: what a process gives up (`walls.py`), which calls are refused (`seccomp.py`), who gets which
walls (`isolation.py`).
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from domain.base import JsonObject
from domain.calls import ErrorKind
from domain.contracts import PluginContract
from domain.isolation import Isolation
from plugins.core.bytecode import compiled
from plugins.core.failures import PluginFailure
from plugins.core.sandbox import MOST_PROCESSES, Launch, environment_for, interpreter, limits_of, runtime_argv
from plugins.core.seccomp import ARCHITECTURES, program
from plugins.core.walls import landlock_abi

NOBODY: Final = "65534"
PROBE_SECONDS: Final = 20.0
LIBRARIES: Final = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo")
SYSTEM_FILES: Final = ("/etc/ld.so.cache", "/etc/localtime")
PROGRAMS: Final = ("/usr/bin", "/bin")
DEVICES: Final = ("/dev/null", "/dev/urandom")


class FencedJail:
    """Landlock, seccomp, no capabilities, and resource limits, taken on by the process itself."""

    def launch(self, folder: Path, contract: PluginContract, workspace: Path) -> Launch:
        """Return how to start the runtime over `folder`.

        Raises:
            PluginFailure: it may start processes, which nothing bounds together here.
        """
        if contract.security_profile.subprocess:
            text = f"{contract.name} may start processes, and the tier fenced cannot bound them together."
            raise PluginFailure(ErrorKind.UNAVAILABLE, text, hint="It needs the tier sandbox.")
        return _fenced(folder, contract, workspace, alone=False)


class BubblewrapJail:
    """The fence within namespaces of its own.

    Args:
        program: bubblewrap.
    """

    def __init__(self, program: str) -> None:
        self._program = program

    def launch(self, folder: Path, contract: PluginContract, workspace: Path) -> Launch:
        """Return how to start the runtime over `folder`.

        Raises:
            PluginFailure: it may start processes, which nothing bounds for real root.
        """
        if contract.security_profile.subprocess and is_real_root():
            text = f"{contract.name} may start processes, and the kernel does not count those of real root."
            raise PluginFailure(ErrorKind.UNAVAILABLE, text, hint="Let the product run as an ordinary user.")
        fenced = _fenced(folder, contract, workspace, alone=True)
        profile, resources = contract.security_profile, contract.resource_requirements
        shown = [*_readable(), folder, *_programs(contract), *_paths(profile.read_paths)]
        writable = [part for path in _paths(profile.write_paths) for part in ("--bind", str(path), str(path))]
        argv = (
            self._program,
            *_namespaces(workspace, resources.disk_mb),
            *_binds(shown),
            *writable,
            *("--remount-ro", "/", "--chdir", str(workspace), "--"),
            *fenced.argv,
        )
        return replace(fenced, argv=argv, isolation=Isolation.SANDBOX, wrapped=True)

    def prove(self) -> None:
        """Start Python within the walls that plugins get.

        Raises:
            PluginFailure: it does not start.
        """
        with tempfile.TemporaryDirectory() as place:
            walls = [*_namespaces(Path(place), 1), *_binds(_readable())]
            command = [self._program, *walls, "--", interpreter(), "-I", "-S", "-c", "pass"]
            try:
                ended = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=False)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise _cannot("sandbox", str(error), "Reinstall bubblewrap.") from error
        if ended.returncode:
            said = ended.stderr.decode("utf-8", "replace").strip() or f"exit code {ended.returncode}"
            fix = "Let users make namespaces (in a container: --security-opt seccomp=unconfined, or --privileged)."
            raise _cannot("sandbox", f"bubblewrap cannot make namespaces here: {said[-300:]}", fix)


def fenced_jail() -> FencedJail:
    """Return the walls of the tier `fenced`.

    Raises:
        PluginFailure: this machine cannot build them.
    """
    machine = platform.machine()
    if sys.platform != "linux":
        raise _cannot("fenced", "it is Linux's, and this is not Linux", "")
    if machine not in ARCHITECTURES:
        raise _cannot("fenced", f"the calls of {machine} are not known, those of {' and '.join(ARCHITECTURES)} are", "")
    if landlock_abi() < 1:
        fix = "Use Linux 5.13 or newer with Landlock switched on (lsm=...,landlock), and a container that allows it."
        raise _cannot("fenced", "the kernel offers no Landlock", fix)
    return FencedJail()


def sandbox_jail() -> BubblewrapJail:
    """Return the walls of the tier `sandbox`.

    Raises:
        PluginFailure: this machine cannot build them.
    """
    fenced_jail()
    program_ = shutil.which("bwrap")
    if program_ is None:
        raise _cannot("sandbox", "bubblewrap is not installed", "Install it (Debian: apt-get install bubblewrap).")
    jail = BubblewrapJail(program_)
    jail.prove()
    return jail


def _cannot(tier: str, reason: str, fix: str) -> PluginFailure:
    return PluginFailure(ErrorKind.UNAVAILABLE, f"The tier {tier} cannot be built: {reason}.", hint=fix)


def is_real_root() -> bool:
    """Say whether this process is the system's root."""
    return sys.platform != "win32" and os.geteuid() == 0


def _fenced(folder: Path, contract: PluginContract, workspace: Path, *, alone: bool) -> Launch:
    walls = _walls(folder, contract, workspace, alone=alone)
    argv = runtime_argv(folder, {**limits_of(contract), "walls": walls})
    return Launch(argv, environment_for(contract, workspace), workspace, Isolation.FENCED)


def _walls(folder: Path, contract: PluginContract, workspace: Path, *, alone: bool) -> JsonObject:
    """Return what `walls.stand` is told."""
    profile = contract.security_profile
    processes = MOST_PROCESSES if profile.subprocess else 0
    steps = program(platform.machine(), processes=profile.subprocess, becomes=bool(contract.command), alone=alone)
    runs = profile.subprocess or bool(contract.command)
    readable = [*_readable(), folder, *_programs(contract), *_paths(profile.read_paths)]
    return {
        "read": [] if runs else _texts(readable),
        "execute": _texts(readable) if runs else [],
        "write": _texts([workspace, Path("/dev/null"), *_paths(profile.write_paths)]),
        "processes": processes,
        "filter": steps.hex(),
    }


@cache
def _readable() -> tuple[Path, ...]:
    """Return what every plugin process has to read: interpreter, libraries, devices, and the house's code inside."""
    prefix = Path(sys.base_prefix)
    own = Path(sysconfig.get_path("stdlib")) if prefix in {Path("/usr"), Path("/")} else prefix
    program_ = Path(interpreter())
    files = (compiled(), *map(Path, (*LIBRARIES, *SYSTEM_FILES, *DEVICES)))
    named = (own, *(() if program_.is_relative_to(own) else (program_,)), *files)
    return tuple(dict.fromkeys(path for path in named if path.exists()))


def _programs(contract: PluginContract) -> Iterator[Path]:
    """Yield where the programs lie that a plugin may run: the system's, and its own server's."""
    if not (contract.command or contract.security_profile.subprocess):
        return
    yield from (path for path in map(Path, PROGRAMS) if path.exists())
    if contract.command and (program_ := Path(contract.command[0])).is_absolute() and program_.exists():
        yield program_


def _paths(named: tuple[str, ...]) -> list[Path]:
    """Return the paths outside the plugin's own folders that are there."""
    places = (Path(name).expanduser() for name in named)
    return [place for place in places if place.is_absolute() and place.exists()]


def _namespaces(workspace: Path, disk_mb: int) -> tuple[str, ...]:
    """Return the options that make the namespaces and the one writable place."""
    return (
        *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"),
        *("--as-pid-1", "--uid", NOBODY, "--gid", NOBODY, "--cap-drop", "ALL"),
        *("--size", str(disk_mb << 20), "--tmpfs", str(workspace)),
    )


def _binds(paths: list[Path] | tuple[Path, ...]) -> list[str]:
    """Return the options that show paths as they are, to be read only; devices can be used."""
    options = []
    for path in dict.fromkeys(paths):
        if path.is_symlink() and path.parent == Path("/"):
            options += ["--symlink", str(path.readlink()), str(path)]
        else:
            options += ["--dev-bind" if str(path) in DEVICES else "--ro-bind", str(path), str(path)]
    return options


def _texts(paths: list[Path]) -> list[JsonValue]:
    return [str(path) for path in dict.fromkeys(paths)]
