"""Spec 10.1, local stack - decides how everything is run on one machine by `up`.

Rules:
- Three processes: the Temporal server (unless an address is given), the worker, the gateway; each is started again when
  it dies. They share nothing but the home.
- The listening sockets of the door belong to this process: while a dead gateway is started again, agents' connections
  wait instead of being refused.
- What a killed `up` left running is ended before anything is started.
- Ready means: Temporal answers, the door answers, and every installed plugin serves.

Not here: what the processes do (`worker/main.py`, `gateway/main.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from config.home import Home
from config.settings import Settings
from domain.base import Model
from domain.errors import GatewayUnreachable
from gateway.sockets import bind, url_of
from plugins.core.packages import write_whole
from worker.addresses import StackAddresses, stack_file, write_addresses
from worker.supervision import Supervisor
from worker.temporal_server import LOOPBACK, free_port, server_command, wait_until_ready

ROOT = Path(__file__).resolve().parent.parent
READY_PATIENCE_SECONDS = 60.0
GRACE_SECONDS = 30.0


@dataclass(frozen=True)
class StackOptions:
    """What the person who starts the stack may choose; 0 means any free port."""

    temporal: str = ""
    gateway_port: int = 0
    temporal_port: int = 0
    ui_port: int = 0


def _to_stderr(name: str, sentence: str) -> None:
    sys.stderr.write(f"{name}: {sentence}\n")


class Leftover(Model):
    """A process that `up` started, recognisable even if its number is used again."""

    pid: int
    created: float


class Leftovers(Model):
    """The processes of the last `up`."""

    processes: tuple[Leftover, ...] = ()


@dataclass
class Stack:
    """The running parts.

    Args:
        home: where everything lies.
        settings: of the installation.
        options: ports and addresses.
        tell: told of every part that starts or dies: its name, and what happened.
    """

    home: Home
    settings: Settings
    options: StackOptions
    tell: Callable[[str, str], None] = _to_stderr
    addresses: StackAddresses = field(init=False)
    _supervisors: list[tuple[Supervisor, threading.Thread]] = field(default_factory=list)
    _sockets: list[socket.socket] = field(default_factory=list)

    async def start(self) -> None:
        """Start everything and return when it is ready.

        Raises:
            InvalidInput: a port is occupied.
            TemporalUnreachable: there is no `temporal` program, or the service does not answer.
            GatewayUnreachable: the gateway does not become ready.
        """
        end_leftovers(self.home)
        gateway = self.settings.gateway
        self._sockets = [
            bind(gateway.host, self.options.gateway_port or gateway.port),
            bind(LOOPBACK, gateway.admin_port),
        ]
        door = url_of(self._sockets[0])
        temporal, ui = await self._start_temporal()
        self.addresses = StackAddresses(temporal=temporal, ui=ui, gateway=f"{door}/mcp", metrics=f"{door}/metrics")
        write_addresses(self.home, self.addresses)
        self._run("gateway", _ours(self.home, "gateway"), self._sockets)
        self._run("worker", _ours(self.home, "worker"))
        await self._until_door_ready(door)
        self._remember()

    async def stop(self) -> None:
        """Stop everything, in the reverse order of starting."""
        for supervisor, thread in reversed(self._supervisors):
            supervisor.stop()
            await asyncio.to_thread(thread.join)
        for listening in self._sockets:
            listening.close()
        stack_file(self.home).unlink(missing_ok=True)
        _memory(self.home).unlink(missing_ok=True)

    def pid_of(self, name: str) -> int | None:
        """Return the process number of a part, None while it is down."""
        return next((supervisor.pid for supervisor, _ in self._supervisors if supervisor.log_file.stem == name), None)

    async def _start_temporal(self) -> tuple[str, str]:
        if self.options.temporal or self.settings.temporal.address:
            address = self.options.temporal or self.settings.temporal.address
            await wait_until_ready(address)
            return address, ""
        ports = [self._free(self.options.temporal_port), self._free(self.options.ui_port)]
        self._run("temporal", server_command(self.home.temporal_database, *ports))
        address = f"{LOOPBACK}:{ports[0]}"
        await wait_until_ready(address)
        return address, f"http://{LOOPBACK}:{ports[1]}"

    def _free(self, wanted: int) -> int:
        if wanted:
            bind(LOOPBACK, wanted).close()
        return wanted or free_port()

    def _run(self, name: str, command: Sequence[str], sockets: Sequence[socket.socket] = ()) -> None:
        supervisor = Supervisor(
            command=command,
            folder=ROOT,
            environment=None,
            log_file=self.home.logs / f"{name}.log",
            grace_seconds=GRACE_SECONDS,
            tell=lambda sentence: self._tell(name, sentence),
            sockets=sockets,
        )
        thread = threading.Thread(target=supervisor.run, name=name)
        self._supervisors.append((supervisor, thread))
        thread.start()

    def _tell(self, name: str, sentence: str) -> None:
        self.tell(name, sentence)
        self._remember()

    async def _until_door_ready(self, door: str) -> None:
        deadline = asyncio.get_running_loop().time() + READY_PATIENCE_SECONDS
        reasons = "nothing answers"
        async with httpx.AsyncClient(base_url=door, trust_env=False, timeout=2) as client:
            while asyncio.get_running_loop().time() < deadline:
                with contextlib.suppress(httpx.HTTPError):
                    answer = await client.get("/readyz")
                    if answer.status_code == httpx.codes.OK:
                        return
                    reasons = answer.text
                await asyncio.sleep(0.1)
        raise GatewayUnreachable(
            f"The gateway at {door} did not become ready: {reasons}", hint="See logs/gateway.log in the home."
        )

    def _remember(self) -> None:
        pids = [supervisor.pid for supervisor, _ in self._supervisors if supervisor.pid is not None]
        found = tuple(left for pid in pids if (left := _leftover(pid)) is not None)
        write_whole(_memory(self.home), Leftovers(processes=found).model_dump_json().encode())


def end_leftovers(home: Home) -> None:
    """End the processes that a killed `up` of this home left running."""
    try:
        left = Leftovers.model_validate_json(_memory(home).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    running = [psutil.Process(one.pid) for one in left.processes if _leftover(one.pid) == one]
    for process in running:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(running, timeout=GRACE_SECONDS)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _leftover(pid: int) -> Leftover | None:
    try:
        return Leftover(pid=pid, created=psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def _memory(home: Home) -> Path:
    return home.root / "processes.json"


def _ours(home: Home, command: str) -> list[str]:
    return [sys.executable, "-m", "worker.cli", "--home", str(home.root), command]
