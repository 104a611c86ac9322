"""Spec 10.1, deployment - decides how the gateway's process starts, listens and stops.

Rules:
- Two servers in one process: the door for agents, the admin port on the loopback.
- Sockets may be given, already listening; else they are bound here. A given socket stays its owner's.
- `gateway.json` appears when the door is open and goes when it closes; a dead process's is overwritten.
- SIGINT and SIGTERM (Windows: Ctrl-C, Ctrl-Break) end it in order. Idle connections are kept for 75 seconds, longer
  than the clients in use keep theirs, so that none of them writes into a connection that is being closed.
- The thread that writes the ledger has to hand the interpreter back after `SWITCH_SECONDS`: with Python's own 5 ms,
  every call that comes while a batch is written would wait that long. What is there at the start is no garbage, and
  the collector is spared looking at it again and again.

Not here: what is served (`gateway/service.py`), starting it again (`worker/`).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import uvicorn
from starlette.types import ASGIApp

from config.home import Home
from config.settings import Settings
from gateway import acceptor
from gateway.acceptor import Acceptor
from gateway.admin_client import remove_address, write_address
from gateway.connections import WholeAnswers
from gateway.service import Gateway, Outside
from gateway.sockets import bind, take_over, url_of

KEEP_ALIVE_SECONDS = 75
ADMIN_HOST = "127.0.0.1"
SWITCH_SECONDS = 0.0005


class QuietServer(uvicorn.Server):
    """A server that leaves the process's signals alone; two of them run in one process.

    Attributes:
        listens: set once it does.
        leaves: set once it takes no new connection and no further request on an old one.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()
        self.leaves = asyncio.Event()
        self._acceptors: list[Acceptor] = []

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell so."""
        await super().startup([] if acceptor.NEEDED else sockets)
        if acceptor.NEEDED:
            self._acceptors = [Acceptor(one, self._connection) for one in sockets or []]
        self.listens.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down, and tell so: who waits runs when the connections have been told."""
        for one in self._acceptors:
            await asyncio.to_thread(one.close)
        self.leaves.set()
        await super().shutdown(sockets)

    async def leave(self) -> None:
        """Take nothing new; what runs goes on."""
        self.should_exit = True
        await self.leaves.wait()

    def _connection(self) -> asyncio.Protocol:
        """Return what serves one connection, as uvicorn makes it."""
        return WholeAnswers(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


@asynccontextmanager
async def serving(application: ASGIApp, listening: socket.socket, patience: float) -> AsyncIterator[QuietServer]:
    """Serve an application on a socket while the block runs; then let what runs end, for `patience` seconds at most."""
    server = QuietServer(
        uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            http=WholeAnswers,
            ws="none",
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, round(patience)),
        )
    )
    task = asyncio.create_task(server.serve([listening.dup()]))
    try:
        await server.listens.wait()
        yield server
    finally:
        server.should_exit = True
        await task


async def run_gateway(
    home: Home,
    settings: Settings,
    *,
    sockets: Sequence[socket.socket] = (),
    outside: Outside | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until told to stop.

    Args:
        home: whose gateway this is.
        settings: of the house.
        sockets: the door's and the admin port's, already listening; the ones this process was started with when none
            are given, else new ones as the settings say.
        outside: what others hang onto the gateway.
        stop: ends it when set; a signal does the same where this is the main thread.

    Raises:
        InvalidInput: a port is taken.
        ConfigurationInvalid: the callers' file cannot be used.
    """
    home.create()
    stop, outside = stop or asyncio.Event(), outside or Outside()
    door, admin = _listening(settings, sockets or take_over())
    with contextlib.closing(door), contextlib.closing(admin), _stopped_by_signals(stop):
        gateway = Gateway(home, settings, outside)
        async with contextlib.AsyncExitStack() as servers, gateway.running():
            front = await servers.enter_async_context(serving(gateway.door, door, settings.gateway.drain_seconds))
            await servers.enter_async_context(serving(gateway.admin, admin, 1))
            _settle()
            address = write_address(home, f"{url_of(door)}/mcp", url_of(admin))
            if outside.ready is not None:
                outside.ready(address)
            try:
                await stop.wait()
            finally:
                remove_address(home)
                await front.leave()


def _settle() -> None:
    """Set the interpreter up for short waits; see the rules above."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()


def _listening(settings: Settings, given: Sequence[socket.socket]) -> tuple[socket.socket, socket.socket]:
    """Return the door's and the admin port's sockets, copies of the given ones."""
    gateway = settings.gateway
    door = given[0].dup() if given else bind(gateway.host, gateway.port)
    try:
        return door, given[1].dup() if len(given) > 1 else bind(ADMIN_HOST, gateway.admin_port)
    except Exception:
        door.close()
        raise


@contextlib.contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set the event when the process is asked to end; outside the main thread nobody asks."""
    loop = asyncio.get_running_loop()
    names = ("SIGINT", "SIGTERM", "SIGBREAK")
    before = {}
    try:
        for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
            before[number] = signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    except ValueError:
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
