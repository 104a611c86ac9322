"""A small HTTP/1.1 client for one server: POST a body, read the answer, keep the connection.

Rules:
- A connection carries one exchange at a time; exchanges under way at once have a connection each.
- A kept connection that the server has closed is not used again; an answer cut short is a `ConnectionError`.

Why not a full client: the users of the example share their machine with the loop they exercise, and a call costs
them a third of the processor time this way.

Not here: what is posted (`door.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

_LINE_LIMIT = 8 * 2**20

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Response:
    """An answer: status, headers by lower-case name, body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """Connections to one `http://` address.

    Args:
        url: where to post.
        timeout: seconds that one exchange may take.
    """

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or 80
        self._head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        self._timeout = timeout
        self._idle: list[Connection] = []

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Response:
        """Post a body; raises ConnectionError or TimeoutError when no whole answer comes."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._exchange(body, headers)
        except (OSError, EOFError) as error:
            if isinstance(error, (ConnectionError, TimeoutError)):
                raise
            raise ConnectionError(f"the answer of {self._host}:{self._port} was cut short: {error}") from error

    async def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            _, writer = self._idle.pop()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, body: bytes, headers: Mapping[str, str]) -> Response:
        connection = self._kept() or await asyncio.open_connection(self._host, self._port, limit=_LINE_LIMIT)
        reader, writer = connection
        keep = False
        try:
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(f"{self._head}{lines}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body)
            await writer.drain()
            response = await _read(reader)
            keep = response.headers.get("connection", "").casefold() != "close"
        finally:
            if keep:
                self._idle.append(connection)
            else:
                writer.close()
        return response

    def _kept(self) -> Connection | None:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None


async def _read(reader: asyncio.StreamReader) -> Response:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in head[1:-2]:
        name, _, value = line.partition(":")
        headers[name.casefold()] = value.strip()
    body = await _read_body(reader, headers)
    return Response(int(head[0].split(" ", 2)[1]), headers, body)


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").casefold() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    chunks = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        chunks.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(chunks)
