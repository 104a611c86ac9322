"""Where the acts are done: a secret, a victim and listeners of the same user, and who judges by what happened to them.

    python -m tests.plugins.abuse.scene TIER [ACT ...]

prints, as JSON, what each act got, of all when none is named: nothing when it was held back. An act counts as held back
only if nothing of it can be seen from here, whatever the plugin says; where there is nothing to be seen, what the
plugin got out of the kernel is what counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

assert sys.platform == "linux"

from domain.isolation import Isolation
from plugins.core.failures import PluginFailure
from plugins.core.isolation import this_machine
from plugins.core.packages import read_package
from plugins.core.process import PluginProcess
from plugins.core.sandbox import Jail, interpreter
from tests.plugins.abuse import acts, data_acts, power_acts
from tests.plugins.abuse.acts import ACTS
from tests.plugins.factories import a_manifest, a_tool, write_package

MEMORY_MB, DISK_MB = 96, 8
FILES = tuple(Path(str(module.__file__)) for module in (acts, data_acts, power_acts))
PLUGIN = """
from tests.plugins.abuse import data_acts, power_acts
from tests.plugins.abuse.acts import ACTS

class Numbers:
    def act(self, *, name, given):
        return {"said": repr(ACTS[name](given))}

capabilities = {"numbers": Numbers()}
"""
CONTROLS = tuple(name for name in ACTS if name.startswith("control_"))


@dataclass(frozen=True)
class Scene:
    """What is at stake."""

    root: Path
    token: str
    victim: subprocess.Popen[bytes]
    tcp: socket.socket
    udp: socket.socket
    unix: socket.socket
    abstract: socket.socket
    datagrams: socket.socket

    @property
    def package(self) -> Path:
        """The hostile plugin's folder."""
        return self.root / "package"

    @property
    def outside(self) -> Path:
        """A file that the plugin must not make."""
        return self.root / "house" / "made"

    def given(self) -> dict[str, Any]:
        """Return what the plugin is told: an attacker knows where things are."""
        return {
            "secret": str(self.root / "house" / "secret"),
            "house": __file__,
            "folder": str(self.root / "house"),
            "outside": str(self.outside),
            "code": str(self.package / "plugin.py"),
            "victim": self.victim.pid,
            "address": id(self.token),
            "name": self.token,
            "python": interpreter(),
            "tcp": self.tcp.getsockname()[1],
            "udp": self.udp.getsockname()[1],
            "unix": str(self.root / "house" / "line"),
            "datagrams": str(self.root / "house" / "datagrams"),
            "memory_mb": MEMORY_MB,
            "disk_mb": DISK_MB,
        }

    def traces(self) -> dict[str, Callable[[], bool]]:
        """Return, for acts that leave one, how their trace is seen from here."""
        code = (self.package / "plugin.py").read_bytes()
        secret = self.root / "house" / "secret"
        return {
            "write_outside": self.outside.exists,
            "overwrite_own_code": lambda: (self.package / "plugin.py").read_bytes() != code,
            "plant_path_file": (self.package / "evil.pth").exists,
            "shared_memory_file": Path("/dev/shm", self.token).exists,
            "kill_victim": lambda: self.victim.poll() is not None,
            "connect_loopback": lambda: _heard(self.tcp),
            "connect_unix": lambda: _heard(self.unix),
            "connect_abstract": lambda: _heard(self.abstract),
            "send_through_a_pair": lambda: _received(self.datagrams),
            "change_attributes": lambda: secret.stat().st_mtime == 1 or secret.stat().st_mode & 0o777 == 0o777,
            "send_datagram": lambda: _received(self.udp),
        }


@contextmanager
def staged() -> Iterator[Scene]:
    """Set the scene, and clear it."""
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        root = Path(place).resolve()
        (root / "house").mkdir()
        (root / "house" / "secret").write_text(token, encoding="utf-8")
        limits = {"memory_mb": MEMORY_MB, "disk_mb": DISK_MB}
        write_package(root / "package", a_manifest(a_tool("act"), resource_requirements=limits), PLUGIN)
        within = root / "package" / "tests" / "plugins" / "abuse"
        within.mkdir(parents=True)
        for file in FILES:
            shutil.copy(file, within)
        command = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
        victim = subprocess.Popen(command, env={"HOUSE_TOKEN": token}, cwd=root / "house")
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        lines = [stack.enter_context(line) for line in _lines(root, token)]
        yield Scene(root, token, victim, *lines)
        Path("/dev/shm", token).unlink(missing_ok=True)


def _lines(root: Path, token: str) -> tuple[socket.socket, ...]:
    unix, abstract = (socket.socket(socket.AF_UNIX) for _ in range(2))
    unix.bind(str(root / "house" / "line"))
    abstract.bind(f"\0{token}")
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    datagrams.bind(str(root / "house" / "datagrams"))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    tcp = socket.create_server(("127.0.0.1", 0))
    for line in (tcp, unix, abstract):
        line.listen()
    for line in (tcp, udp, unix, abstract, datagrams):
        line.setblocking(False)
    return tcp, udp, unix, abstract, datagrams


async def played(jail: Jail, names: Iterable[str]) -> dict[str, str]:
    """Let acts be done behind a jail's walls, each in a scene and a process of its own; return what each got."""
    return {name: await _done(jail, name) for name in names}


async def _done(jail: Jail, name: str) -> str:
    os.environ["HOUSE_TOKEN"] = secrets.token_hex(16)
    with staged() as scene, _left_open(scene):
        traces = scene.traces()
        process = await PluginProcess.start(scene.package, read_package(scene.package).contract, jail=jail)
        try:
            said = str((await process.call("numbers", "act", {"name": name, "given": scene.given()}, 20))["said"])
        except PluginFailure:
            said = ""
        finally:
            await process.stop(0)
        if name in traces:
            return said or "seen from outside" if traces[name]() else ""
        if name in {"env_secret", "environment_of_victim", "environment_of_anybody", "inherited_descriptors"}:
            told = (scene.token, os.environ["HOUSE_TOKEN"])
            return said if any(token in said for token in told) else ""
        return said


@contextmanager
def _left_open(scene: Scene) -> Iterator[None]:
    """Hold the secret open in a descriptor that a careless start would hand on."""
    number = os.open(scene.root / "house" / "secret", os.O_RDONLY)
    os.set_inheritable(number, True)
    try:
        yield
    finally:
        os.close(number)


def _heard(line: socket.socket) -> bool:
    with contextlib.suppress(BlockingIOError):
        connection, _ = line.accept()
        connection.close()
        return True
    return False


def _received(line: socket.socket) -> bool:
    with contextlib.suppress(BlockingIOError):
        return bool(line.recv(100))
    return False


def main() -> None:
    """Let the acts be done in the tier that the command line names, and print what each got."""
    jail = this_machine().jail(Isolation(sys.argv[1]))
    got = asyncio.run(played(jail, sys.argv[2:] or ACTS))
    left = [child.pid for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
    print(json.dumps({"got": got, "left_behind": left}))


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # what is left behind by a plugin is left to this process, and found
    main()
