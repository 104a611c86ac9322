"""A real web server on loopback, that does what its paths say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from plugins.core.network import BODY_LIMIT

SLICE = b"x" * 65_536


@dataclass
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Web:
    """The server.

    Attributes:
        seen: what it was asked, in order.
        open: connections that are open now; `most` of them were at a time.
        elsewhere: where `/elsewhere` sends on to.
    """

    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    open: int = 0
    most: int = 0
    elsewhere: str = ""

    @property
    def here(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def closed(self) -> None:
        """Wait until no connection is open."""
        async with asyncio.timeout(5):
            while self.open:
                await asyncio.sleep(0.01)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._answer(await _read(reader), reader, writer)
        self.open -= 1
        writer.close()

    async def _answer(self, asked: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen.append(asked)
        match asked.path:
            case "/elsewhere":
                _write(writer, 302, b"gone", f"Location: {self.elsewhere}\r\n")
            case "/round":
                _write(writer, 302, b"", "Location: /round\r\n")
            case "/again":
                _write(writer, 307, b"", "Location: /echo\r\n")
            case "/flood":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                for _ in range(2 * BODY_LIMIT // len(SLICE)):
                    writer.write(SLICE)
                    await writer.drain()
            case "/drip":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while not reader.at_eof():
                    writer.write(b".")
                    await writer.drain()
                    await asyncio.sleep(0.02)
            case "/silence":
                await reader.read()
            case "/pause":
                await asyncio.sleep(0.1)
                _write(writer, 200, b"{}")
            case _:
                echo = {"method": asked.method, "path": asked.path, "body": asked.body.decode()}
                _write(writer, 404 if asked.path == "/lost" else 200, json.dumps(echo).encode())
        await writer.drain()


@asynccontextmanager
async def web_server(context: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    web = Web()
    server = await asyncio.start_server(web.serve, "127.0.0.1", 0, ssl=context)
    web.port = server.sockets[0].getsockname()[1]
    async with server:
        yield web


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return Seen(method, path, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def _write(writer: asyncio.StreamWriter, status: int, body: bytes, more: str = "") -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nContent-Type: application/json\r\n{more}\r\n"
    writer.write(head.encode() + body)
