"""Spec 10.1, HTTP connections - decides how the bytes of an answer leave.

Rules:
- An answer's head waits for its body, so that a short answer is one write, one packet, and one waking of the client; at
  the end of the event loop's pass everything leaves that is there.
- What has been written leaves before the connection is closed.

Not here: HTTP itself (uvicorn), which connections there are (`gateway/main.py`).
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class WholeAnswers(HttpToolsProtocol):
    """Uvicorn's HTTP protocol over a transport that holds back an answer's head."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base says
        """Begin to serve a connection."""
        super().connection_made(HoldingTransport(transport, asyncio.get_running_loop()))


class HoldingTransport(asyncio.Transport):
    """A transport whose every first write of a pass waits for the second one, or for the end of the pass.

    Args:
        inner: the real one.
        loop: whose passes count.
    """

    def __init__(self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._inner = inner
        self._loop = loop
        self._held: bytes = b""
        self._end_of_pass: asyncio.Handle | None = None

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Hold the data, or send it with what is held."""
        if self._end_of_pass is None:
            self._held = bytes(data)
            self._end_of_pass = self._loop.call_soon(self._release)
        else:
            self._held += data
            self._release()

    def close(self) -> None:
        """Close once everything has left."""
        self._release()
        self._inner.close()

    def abort(self) -> None:
        """Close at once, whatever has not left."""
        self._held = b""
        self._release()
        self._inner.abort()

    def is_closing(self) -> bool:
        """Say whether it is closed or being closed."""
        return self._inner.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the real transport knows."""
        return self._inner.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Read nothing for now."""
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._inner.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol have what is read."""
        self._inner.set_protocol(protocol)

    def _release(self) -> None:
        if self._end_of_pass is not None:
            self._end_of_pass.cancel()
            self._end_of_pass = None
        if self._held:
            held, self._held = self._held, b""
            self._inner.write(held)
