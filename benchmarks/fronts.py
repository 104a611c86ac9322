"""The ways to reach the measured plugin: its pipe, a bare front, the door, FastMCP's proxy.

Rules:
- Behind each stands the same plugin in a process of our own runtime; before each but the pipe stands the same client.
  One more FastMCP proxy has a FastMCP server behind it, as a user of FastMCP would.
- Each front is a process of its own, started as its owner would start it, and gone at the end.

Not here: the load (`load.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.load import Call
from benchmarks.subject import ARGUMENTS, CAPABILITY, METHOD, SUM, install, route_to, write_package
from benchmarks.wire import Connection, WrongAnswer, check, connect, request_to
from config.home import Home
from config.settings import SecuritySettings
from domain.errors import GatewayUnreachable
from gateway.admin_client import AdminClient, read_address
from plugins.core.isolation import ChosenJail
from plugins.core.packages import read_package
from plugins.core.process import PluginProcess
from plugins.core.sandbox import RUNTIME

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 120
MANY = "1000000000"
OWN_PORTS = range(20_000, 30_000)


@dataclass
class Front:
    """One way to the plugin, open.

    Attributes:
        pid: of the process whose time counts, with its children.
        caller: opens a connection and returns what calls over it.
        others: processes whose time counts as well.
    """

    pid: int
    caller: Callable[[str], Awaitable[Call]]
    connections: list[Connection] = field(default_factory=list)
    others: list[int] = field(default_factory=list)

    @classmethod
    def over(cls, url: str, pid: int, asking: Callable[[str], bytes] | None = None) -> Front:
        """Return the front at a URL, asked for a capability as MCP does it unless `asking` says otherwise."""

        async def caller(capability: str) -> Call:
            connection = await connect(url)
            request = asking(capability) if asking is not None else request_to(url, capability)
            front.connections.append(connection)

            async def call() -> None:
                check(await connection.post(request))

            return call

        front = cls(pid, caller)
        return front

    async def callers(self, count: int, capability: str = CAPABILITY) -> list[Call]:
        """Open connections, and return what calls over each."""
        return [await self.caller(capability) for _ in range(count)]

    def close(self) -> None:
        """Close the connections."""
        for connection in self.connections:
            connection.close()
        self.connections.clear()

    def cpu_seconds(self) -> float:
        """Return the processor time that the front and its children have used."""
        leaders = [psutil.Process(pid) for pid in (self.pid, *self.others)]
        children = [child for leader in leaders for child in leader.children(recursive=True)]
        times = [one.cpu_times() for one in (*leaders, *children)]
        return float(sum(time.user + time.system for time in times))


@asynccontextmanager
async def pipe() -> AsyncIterator[Front]:
    """Open the plugin's pipe from this process, with nothing between."""
    with TemporaryDirectory() as folder:
        package = write_package(Path(folder), "1.0.0")
        process = await PluginProcess.start(
            package, read_package(package).contract, jail=ChosenJail(SecuritySettings())
        )

        async def call() -> None:
            if (await process.call(CAPABILITY, METHOD, ARGUMENTS, 30)).get("sum") != SUM:
                raise WrongAnswer("another sum")

        async def caller(_: str) -> Call:
            return call

        try:
            yield Front(process.pid, caller)
        finally:
            await process.stop(1)


@asynccontextmanager
async def bare_front() -> AsyncIterator[Front]:
    """Open `peers/bare_front.py`."""
    with TemporaryDirectory() as folder:
        package, port = write_package(Path(folder), "1.0.0"), free_port()
        command = [sys.executable, "-m", "benchmarks.peers.bare_front", str(port), str(package)]
        async with running(command, {}) as process, reached(_mcp(port, process), process) as front:
            yield front


@asynccontextmanager
async def fastmcp_proxy() -> AsyncIterator[Front]:
    """Open `peers/fastmcp_proxy.py` before the very program that the door starts."""
    with TemporaryDirectory() as folder:
        plugin = [sys.executable, "-I", "-S", "-B", str(RUNTIME), str(write_package(Path(folder), "1.0.0"))]
        async with _proxied(plugin) as front:
            yield front


@asynccontextmanager
async def fastmcp_alone() -> AsyncIterator[Front]:
    """Open `peers/fastmcp_proxy.py` before `peers/fastmcp_server.py`."""
    async with _proxied([sys.executable, "-m", "benchmarks.peers.fastmcp_server"]) as front:
        yield front


@asynccontextmanager
async def door() -> AsyncIterator[Front]:
    """Open a gateway whose one plugin is the measured one."""
    with TemporaryDirectory() as folder:
        home = Home(Path(folder)).create()
        version = install(home, "1.0.0")
        async with gateway(home) as (front, admin):
            await admin.set_route(route_to(version))
            yield front


@asynccontextmanager
async def gateway(home: Home, more: Mapping[str, str] | None = None) -> AsyncIterator[tuple[Front, AdminClient]]:
    """Run a home's gateway with a rate guard that lets everything through.

    Args:
        home: whose gateway it is.
        more: environment variables that change its settings.
    """
    environment = {"UPGRADE_LOOP_GATEWAY__CALLS_PER_MINUTE_PER_CALLER": MANY, **(more or {})}
    async with running([sys.executable, "-m", "gateway", str(home.root)], environment) as process:
        while not _serves(home, process):
            await asyncio.sleep(0.05)
        async with AdminClient.of(home) as admin:
            front = Front.over(read_address(home).door, process.pid)
            try:
                yield front, admin
            finally:
                front.close()


def free_port() -> int:
    """Return a port that nobody listens on now, and that no system gives to who asks for any port."""
    while True:
        port = random.choice(OWN_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@asynccontextmanager
async def _proxied(server: list[str]) -> AsyncIterator[Front]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers.fastmcp_proxy", str(port), *server]
    async with running(command, {}) as process, reached(_mcp(port, process), process) as front:
        yield front


@asynccontextmanager
async def running(
    command: list[str], more: Mapping[str, str], folder: Path = ROOT
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run a program while the block runs; what it says is forgotten."""
    with _started(command, more, folder) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 15)
            except subprocess.TimeoutExpired:
                process.kill()


def _mcp(port: int, process: subprocess.Popen[bytes]) -> Front:
    return Front.over(f"http://127.0.0.1:{port}/mcp", process.pid)


def _started(command: list[str], more: Mapping[str, str], folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, env=environment, cwd=folder, stdout=silent, stderr=silent)


@asynccontextmanager
async def reached(front: Front, process: subprocess.Popen[bytes]) -> AsyncIterator[Front]:
    """Return a front once it answers a call, and close its connections at the end."""
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while True:
        try:
            (call,) = await front.callers(1)
            await call()
            break
        except (OSError, WrongAnswer):
            if process.poll() is not None or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.1)
    try:
        yield front
    finally:
        front.close()


def _serves(home: Home, process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise GatewayUnreachable("The gateway ended before it served.", hint=f"Run `python -m gateway {home.root}`.")
    try:
        return read_address(home).pid == process.pid
    except GatewayUnreachable:
        return False
