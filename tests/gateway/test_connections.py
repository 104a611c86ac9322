"""Spec 10.1, HTTP connections - decides whether an answer leaves in one piece, and all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from gateway.connections import HoldingTransport
from gateway.main import serving
from gateway.sockets import bind


class Wire(asyncio.Transport):
    """A transport that keeps what was written, and when it was closed."""

    def __init__(self) -> None:
        super().__init__({"peername": "somebody"})
        self.written: list[bytes] = []

    def write(self, data: object) -> None:
        assert isinstance(data, bytes)
        self.written.append(data)

    def close(self) -> None:
        self.written.append(b"(closed)")

    def abort(self) -> None:
        self.written.append(b"(aborted)")


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
async def transport(wire: Wire) -> HoldingTransport:
    return HoldingTransport(wire, asyncio.get_running_loop())


async def test_head_and_body_are_one_write(wire: Wire, transport: HoldingTransport) -> None:
    transport.write(b"head ")
    assert wire.written == []
    transport.write(b"body")
    assert wire.written == [b"head body"]
    await asyncio.sleep(0)
    assert wire.written == [b"head body"]


async def test_a_head_without_a_body_leaves_at_the_end_of_the_pass(wire: Wire, transport: HoldingTransport) -> None:
    transport.write(b"head")
    await asyncio.sleep(0)
    assert wire.written == [b"head"]
    transport.write(b"event")
    await asyncio.sleep(0)
    assert wire.written == [b"head", b"event"]


async def test_what_was_written_leaves_before_the_end(wire: Wire, transport: HoldingTransport) -> None:
    transport.write(b"last words")
    transport.close()
    assert wire.written == [b"last words", b"(closed)"]


async def test_an_aborted_connection_takes_nothing_along(wire: Wire, transport: HoldingTransport) -> None:
    transport.write(b"never mind")
    transport.abort()
    await asyncio.sleep(0)
    assert wire.written == [b"(aborted)"]


async def test_what_the_connection_knows_is_known(transport: HoldingTransport) -> None:
    assert transport.get_extra_info("peername") == "somebody"
    assert transport.get_extra_info("sslcontext", "none") == "none"


@asynccontextmanager
async def connected(then: bytes = b"", *, headers: bytes = b"") -> AsyncIterator[asyncio.StreamReader]:
    """Serve an application that answers in three parts, the last one late, and ask it; `then` is sent after it."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"two" * 100_000, "more_body": False})

    listening = bind("127.0.0.1", 0)
    async with serving(application, listening, 1):
        reader, writer = await asyncio.open_connection(*listening.getsockname()[:2], limit=1_000_000)
        writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n" + headers + b"\r\n" + then)
        try:
            yield reader
        finally:
            writer.close()
            await writer.wait_closed()
            listening.close()


async def test_a_stream_of_parts_arrives_as_it_is_sent() -> None:
    async with connected() as reader:
        assert (await reader.readuntil(b"one\r\n")).startswith(b"HTTP/1.1 200 OK")
        rest = await reader.readuntil(b"0\r\n\r\n")
        assert rest.count(b"two") == 100_000


async def test_two_requests_sent_at_once_are_answered_one_after_the_other() -> None:
    async with connected(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n") as reader:
        for _ in range(2):
            assert (await reader.readuntil(b"0\r\n\r\n")).count(b"two") == 100_000


async def test_a_request_for_another_protocol_is_answered_in_this_one() -> None:
    async with connected(headers=b"Connection: Upgrade\r\nUpgrade: websocket\r\n") as reader:
        assert (await reader.readuntil(b"one\r\n")).startswith(b"HTTP/1.1 200 OK")
