"""What no path rule holds: acts that reach beyond a plugin's files without opening any, done for real in each tier."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.base import JsonObject
from domain.isolation import Isolation
from plugins.core.failures import PluginFailure
from plugins.core.isolation import Machine
from plugins.core.packages import read_package
from plugins.core.process import PluginProcess
from plugins.core.sandbox import PlainJail
from tests.plugins.factories import a_manifest, a_tool, numbers_plugin, write_package

if sys.platform != "linux":
    pytest.skip("these walls are Linux's", allow_module_level=True)

HEAD = """
import ctypes, mmap, os, shutil, socket
libc = ctypes.CDLL(None, use_errno=True)
def did(result):
    return {"did": result >= 0}
"""
ACTS = """
def control(self):
    with open("made", "w") as file:
        file.write("here")
    a, b = socket.socketpair()
    a.send(b"x")
    return {"did": b.recv(1) == b"x" and open("made").read() == "here"}

def datagram(self, path):
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return {"did": a.sendto(b"x", path) == 1}

def mode(self, path):
    os.chmod(path, 0o777)
    return {"did": True}

def times(self, path):
    os.utime(path, (1, 1))
    return {"did": True}

def attribute(self, path):
    os.setxattr(path, b"user.mark", b"x")
    return {"did": True}

def shorter(self, path):
    os.truncate(path, 0)
    return {"did": True}

def watch(self, path):
    return did(libc.inotify_init())

def bind_to_one_processor(self, path):
    os.sched_setaffinity(os.getppid(), {0})
    return {"did": True}

def outlive(self, path):
    return did(libc.prctl(1, 0, 0, 0, 0))
"""
OUTSIDE = ("mode", "attribute", "shorter", "times", "watch", "bind_to_one_processor")
EVERYWHERE = ("datagram", "outlive")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of the same user."""
    path = tmp_path / "victim"
    path.write_text("whole", encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """Somebody who listens for datagrams, as a system's log does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "log.sock"))
        listening.setblocking(False)
        yield listening


Start = Callable[[Isolation], Any]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    running: list[PluginProcess] = []

    async def start_one(tier: Isolation) -> PluginProcess:
        names = ("control", *OUTSIDE, *EVERYWHERE)
        folder = write_package(
            tmp_path / "plugin", a_manifest(*(a_tool(name) for name in names)), numbers_plugin(ACTS, HEAD)
        )
        jail = PlainJail() if tier is Isolation.TRUSTED else walls(tier)
        running.append(await PluginProcess.start(folder, read_package(folder).contract, jail=jail))
        return running[-1]

    yield start_one
    for process in running:
        await process.stop(0)


def walls(tier: Isolation) -> Any:
    try:
        return Machine().jail(tier)
    except PluginFailure as failure:
        pytest.skip(f"{failure.message} {failure.hint}")


async def does(process: PluginProcess, act: str, path: Path) -> bool:
    """Say whether an act did what it was to do, in the plugin's eyes."""
    arguments: JsonObject = {} if act == "control" else {"path": str(path)}
    try:
        return bool((await process.call("numbers", act, arguments, 10))["did"])
    except PluginFailure:
        return False


def reached(victim: Path, listener: socket.socket) -> list[str]:
    """Return what can be seen of the acts from here."""
    state, seen = victim.stat(), []
    if state.st_mode & 0o777 != 0o600:
        seen.append("mode")
    if state.st_mtime < 10:
        seen.append("times")
    if victim.read_text(encoding="utf-8") != "whole":
        seen.append("shorter")
    try:
        listener.recv(1)
        seen.append("datagram")
    except BlockingIOError:
        pass
    return seen


async def all_acts(process: PluginProcess, victim: Path, listener: socket.socket) -> tuple[list[str], list[str]]:
    """Return what the plugin says it did, and what of it is seen from outside."""
    assert await does(process, "control", victim)
    own = os.sched_getaffinity(0)
    try:
        done = [act for act in OUTSIDE if await does(process, act, victim)]
        done += ["datagram"] if await does(process, "datagram", Path(listener.getsockname())) else []
        done += ["outlive"] if await does(process, "outlive", victim) else []
    finally:
        os.sched_setaffinity(0, own)
    return done, reached(victim, listener)


@pytest.mark.parametrize("tier", [Isolation.FENCED, Isolation.SANDBOX])
async def test_nothing_outside_is_reached_from_behind_walls(
    start: Start, victim: Path, listener: socket.socket, tier: Isolation
) -> None:
    done, seen = await all_acts(await start(tier), victim, listener)
    assert seen == []
    own_world = {"watch", "bind_to_one_processor"} if tier is Isolation.SANDBOX else set()
    assert set(done) <= own_world


async def test_without_walls_the_acts_succeed(start: Start, victim: Path, listener: socket.socket) -> None:
    done, seen = await all_acts(await start(Isolation.TRUSTED), victim, listener)
    assert set(seen) == {"mode", "times", "shorter", "datagram"}
    assert {"watch", "bind_to_one_processor", "outlive"} <= set(done)


SHARING = """
import json, mmap, sys
def held(size):
    try:
        mmap.mmap(-1, size).write(b"x")
        return True
    except OSError:
        return False
for line in sys.stdin:
    call = json.loads(line)
    tools = [{"name": "share", "inputSchema": {"type": "object"}, "outputSchema": {"type": "object"}}]
    answers = {
        "server/discover": {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}},
        "tools/list": {"tools": tools},
        "tools/call": {"content": [], "structuredContent": {"held": held(1 << 20)}, "isError": False},
    }
    result = {"resultType": "complete", **answers.get(call["method"], {})}
    print(json.dumps({"jsonrpc": "2.0", "id": call.get("id"), "result": result}), flush=True)
"""


@pytest.mark.parametrize("tier", [Isolation.FENCED, Isolation.SANDBOX])
async def test_a_foreign_server_gets_no_memory_that_no_limit_counts(tmp_path: Path, tier: Isolation) -> None:
    tool = a_tool("share", tool="share")
    command = ["{python}", "{package}/server.py"]
    folder = write_package(tmp_path / "server", a_manifest(tool, command=command, protocol="2026-07-28"), "")
    (folder / "server.py").write_text(SHARING, encoding="utf-8")
    process = await PluginProcess.start(folder, read_package(folder).contract, jail=walls(tier))
    try:
        assert await process.call("numbers", "share", {}, 10) == {"held": False}
    finally:
        await process.stop(0)


def test_a_plugin_that_may_start_processes_is_bounded_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = a_manifest(security_profile={"subprocess": True})
    contract = read_package(write_package(tmp_path / "plugin", manifest)).contract
    with pytest.raises(PluginFailure, match="may start processes"):
        walls(Isolation.FENCED).launch(tmp_path / "plugin", contract, tmp_path)
    if shutil.which("bwrap"):
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        with pytest.raises(PluginFailure, match="real root"):
            walls(Isolation.SANDBOX).launch(tmp_path / "plugin", contract, tmp_path)
