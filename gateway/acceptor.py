"""Spec 10.1, taking connections on Windows - decides how a second gateway serves a socket that a first one has served.

Rules:
- Windows binds a socket to the first event loop that waits for its connections, for as long as any process holds it;
  the loop of the next gateway is refused with error 87. So there a thread takes the connections, and the loop gets
  each of them as a socket of its own.
- Closing waits until the thread has stopped: what is not taken then waits in the system's queue for the next gateway.

Not here: what a connection is served with (`gateway/main.py`), who keeps the socket (`gateway/sockets.py`).
"""

from __future__ import annotations

import asyncio
import select
import socket
import sys
import threading
from collections.abc import Callable

NEEDED = sys.platform == "win32"
LOOK_EVERY_SECONDS = 0.1


class Acceptor:
    """Takes the connections of a listening socket for the running loop.

    Args:
        listening: not blocking.
        protocol: makes what serves one connection.
    """

    def __init__(self, listening: socket.socket, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        self._listening = listening
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[object]] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._take, name="acceptor", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more connections; returns when that is so."""
        self._closing.set()
        self._thread.join()

    def _take(self) -> None:
        while not self._closing.is_set():
            ready, _, _ = select.select([self._listening], [], [], LOOK_EVERY_SECONDS)
            if not ready or self._closing.is_set():
                continue
            try:
                connection, _ = self._listening.accept()
            except OSError:  # who wanted to connect has given up
                continue
            connection.setblocking(False)
            self._loop.call_soon_threadsafe(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
