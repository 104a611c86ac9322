"""The client that makes the load: it costs as little as a client can, because what it costs is measured too.

Rules:
- A connection carries one exchange at a time and is kept.
- An answer counts when its status is 200 and it says what it should; anything else is a `WrongAnswer`.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

import orjson

from benchmarks.subject import ARGUMENTS, METHOD, SUM

VERSION: Final = "2026-07-28"
META: Final = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_OK: Final = b"HTTP/1.1 200 "


class WrongAnswer(Exception):
    """An exchange that did not bring the result."""


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._answer: asyncio.Future[bytes] | None = None

    async def post(self, request: bytes) -> bytes:
        """Send a whole request and return the body of its answer.

        Raises:
            WrongAnswer: the connection broke, or the status is not 200.
        """
        if self._transport is None or self._transport.is_closing():
            raise WrongAnswer("the connection is closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take the answer once it is whole."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._answer is None:
            return
        head = bytes(self._buffer[:end]).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(self._buffer) < end + 4 + length:
            return
        body = bytes(self._buffer[end + 4 : end + 4 + length])
        ok = self._buffer.startswith(_OK)
        self._buffer.clear()
        if ok:
            self._answer.set_result(body)
        else:
            self._answer.set_exception(WrongAnswer(f"{head.decode('latin-1')} {body.decode('utf-8', 'replace')}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the exchange that runs."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(WrongAnswer(f"the connection broke: {exc}"))


async def connect(url: str) -> Connection:
    """Return a new connection to the host of a URL."""
    parts = urlsplit(url)
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, parts.hostname or "127.0.0.1", parts.port or 80
    )
    return connection


def request_to(url: str, capability: str) -> bytes:
    """Return a whole HTTP request that calls the measured plugin."""
    parts, tool = urlsplit(url), f"{capability}__{METHOD}"
    params = {"name": tool, "arguments": ARGUMENTS, "_meta": META}
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    lines = (
        f"POST {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Accept: application/json, text/event-stream",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"MCP-Protocol-Version: {VERSION}",
        "Mcp-Method: tools/call",
        f"Mcp-Name: {tool}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def plain_request_to(url: str, tool: str, token: str) -> bytes:
    """Return a whole HTTP request that calls a tool by plain JSON-RPC, as the bearer of a token."""
    parts = urlsplit(url)
    params = {"name": tool, "arguments": ARGUMENTS}
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    lines = (
        f"POST {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def check(body: bytes) -> None:
    """Raise WrongAnswer unless the body carries the sum."""
    try:
        result = orjson.loads(body)["result"]
        right = not result.get("isError") and result["structuredContent"]["sum"] == SUM
    except (LookupError, TypeError, ValueError):
        right = False
    if not right:
        raise WrongAnswer(body[:500].decode("utf-8", "replace"))
