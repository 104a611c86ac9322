"""Spec 11.1, walls on Windows, told by the host - decides in which walls a plugin starts there.

Rules:
- `sandbox`: an AppContainer of the plugin's own. It reads the interpreter, its package and what the settings give it,
  writes to its private folder, and reaches no network and no other process.
- `contained`: low integrity. It writes to its private folder only; it reads what its user reads, and has the network.
- In both tiers a launcher of ours stands between the host and the plugin, with a job around the two.
- A tier is on offer when a Python has really started in it. What Windows refuses is told with what would mend it.
- Not held on Windows, in no tier: how much is written to disk, and how many handles are open.

Not here: how the process is created (`windows_launcher.py`), who may open what (`windows_rights.py`), the job
(`windows_job.py`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from domain.calls import ErrorKind
from domain.contracts import PluginContract
from domain.isolation import Isolation
from plugins.core.bytecode import compiled
from plugins.core.failures import PluginFailure
from plugins.core.jobs import SPAWN_OPTIONS, hold, job_limits
from plugins.core.sandbox import MEMORY_FLOOR_MB, Launch, PlainJail, interpreter
from plugins.core.windows_job import Limits
from plugins.core.windows_launcher import NO_CONTAINER
from plugins.core.windows_rights import (
    ALL_APP_PACKAGES,
    CAPABILITY,
    Grant,
    Rights,
    capability_sid,
    container_name,
    container_sid,
)

PROBE: Final = "probe"
PROBE_SECONDS: Final = 60.0
"""The first start after an installation waits until the interpreter's files are granted, one by one."""
STORE_FOLDER: Final = "WindowsApps"


def behind(launch: Launch, processes: int, plugin: str = "") -> Launch:
    """Return a start with the launcher in front.

    Args:
        launch: the start without walls.
        processes: how many the plugin may be.
        plugin: whose container it is to be; none means low integrity.
    """
    sids = (container_sid(container_name(plugin)), capability_sid(CAPABILITY)) if plugin else (NO_CONTAINER,) * 2
    start = (interpreter(), "-I", "-S", "-B", "-X", "utf8", str(compiled() / "windows_launcher.pyc"))
    environment = {**launch.environment, "LOCALAPPDATA": str(launch.cwd)}  # Windows starts no AppContainer without one
    tier = Isolation.SANDBOX if plugin else Isolation.CONTAINED
    argv = (*start, str(processes), *sids, *launch.argv)
    return replace(launch, argv=argv, environment=environment, isolation=tier, wrapped=True)


def shared_grants() -> list[Grant]:
    """Return what every container needs: the interpreter with its library, and the house's code inside."""
    sid = capability_sid(CAPABILITY)
    return [Grant(place, Rights.READ, sid, (ALL_APP_PACKAGES,)) for place in (Path(sys.base_prefix), compiled())]


def own_grants(folder: Path, contract: PluginContract, workspace: Path) -> list[Grant]:
    """Return what one plugin's container needs: its package, its private folder, and the paths it was given."""
    sid, profile = container_sid(container_name(contract.name)), contract.security_profile
    read = [folder, *_places(profile.read_paths)]
    write = [workspace, *_places(profile.write_paths)]
    return [Grant(place, Rights.READ, sid) for place in read] + [Grant(place, Rights.MODIFY, sid) for place in write]


def _places(named: tuple[str, ...]) -> list[Path]:
    """Return the paths outside the plugin's own folders that are there."""
    places = (Path(name).expanduser() for name in named)
    return [place for place in places if place.is_absolute() and place.exists()]


def _cannot(tier: Isolation, reason: object, fix: str) -> PluginFailure:
    return PluginFailure(ErrorKind.UNAVAILABLE, f"The tier {tier} cannot be built: {reason}.", hint=fix)


if sys.platform == "win32":
    from plugins.core.windows_rights import carry_out, make_container, mark_as_low

    class ContainerJail:
        """An AppContainer for each plugin."""

        def launch(self, folder: Path, contract: PluginContract, workspace: Path) -> Launch:
            """Return how to start the runtime over `folder`, which the plugin's container may read from now on.

            Raises:
                PluginFailure: Windows refuses to make the container, or to let it open a file.
            """
            _prepare(contract.name, own_grants(folder, contract, workspace))
            plain = PlainJail().launch(folder, contract, workspace)
            return behind(plain, job_limits(contract).processes, contract.name)

    class ContainedJail:
        """Low integrity."""

        def launch(self, folder: Path, contract: PluginContract, workspace: Path) -> Launch:
            """Return how to start the runtime over `folder`.

            Raises:
                PluginFailure: Windows refuses, or the plugin is to write to other folders.
            """
            if contract.security_profile.write_paths:
                text = f"{contract.name} is to write to folders that are not its own"
                raise _cannot(Isolation.CONTAINED, text, "It needs the tier sandbox.")
            _lower(workspace)
            return behind(PlainJail().launch(folder, contract, workspace), job_limits(contract).processes)

    def container_jail() -> ContainerJail:
        """Return the walls of the tier `sandbox`.

        Raises:
            PluginFailure: this machine cannot build them.
        """
        if STORE_FOLDER in Path(sys.base_prefix).parts:
            fix = "Install Python from python.org and start the house with it."
            raise _cannot(Isolation.SANDBOX, "no other program may be let into a Python from the Store", fix)
        with tempfile.TemporaryDirectory() as place:
            _prepare(PROBE, [*shared_grants(), Grant(Path(place), Rights.MODIFY, container_sid(container_name(PROBE)))])
            _prove(behind(_probe(Path(place)), 1, PROBE))
        return ContainerJail()

    def contained_jail() -> ContainedJail:
        """Return the walls of the tier `contained`.

        Raises:
            PluginFailure: this machine cannot build them.
        """
        with tempfile.TemporaryDirectory() as place:
            _lower(Path(place))
            _prove(behind(_probe(Path(place)), 1))
        return ContainedJail()

    def _prepare(plugin: str, grants: list[Grant]) -> None:
        try:
            make_container(container_name(plugin))
        except OSError as error:
            raise _cannot(Isolation.SANDBOX, error, "Use Windows 10 or later.") from error
        for grant in grants:
            try:
                carry_out(grant)
            except OSError as error:
                words = "RX" if grant.rights is Rights.READ else "M"
                fix = f'In an elevated prompt: icacls "{grant.path}" /grant *{grant.sid}:(OI)(CI){words}'
                raise _cannot(Isolation.SANDBOX, f"{grant.path} cannot be opened to plugins ({error})", fix) from error

    def _lower(folder: Path) -> None:
        try:
            mark_as_low(folder)
        except OSError as error:
            fix = "Put the home on a volume of this machine that is formatted with NTFS."
            raise _cannot(Isolation.CONTAINED, f"{folder} cannot be marked as low ({error})", fix) from error

    def _probe(place: Path) -> Launch:
        command = (interpreter(), "-I", "-S", "-c", "import json, threading; open('probe', 'x').close()")
        return Launch(command, {"SYSTEMROOT": os.environ["SYSTEMROOT"]}, place, Isolation.TRUSTED)

    def _prove(launch: Launch) -> None:
        """Start Python behind the walls that plugins get, and see that it writes to its folder."""
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        limits = Limits(2 * MEMORY_FLOOR_MB, 4 * MEMORY_FLOOR_MB, 2)
        try:
            with subprocess.Popen(
                launch.argv, cwd=launch.cwd, env=dict(launch.environment), **pipes, **SPAWN_OPTIONS
            ) as process:
                job = hold(process.pid, limits)
                try:
                    said, _ = process.communicate(b"\n", PROBE_SECONDS)
                finally:
                    job.kill()
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _cannot(launch.isolation, error, "") from error
        if process.returncode or not (launch.cwd / "probe").exists():
            last = said.decode("utf-8", "replace").strip()[-300:] or f"exit code {process.returncode}"
            raise _cannot(launch.isolation, f"Python does not start in it: {last}", "")
