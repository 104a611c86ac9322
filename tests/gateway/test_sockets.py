"""Listening sockets that outlive the process behind them."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from domain.errors import InvalidInput
from gateway.acceptor import Acceptor
from gateway.sockets import bind, hand_over, take_over, unwrapped, url_of

CHILD = """
import socket, sys
sys.path.insert(0, {root!r})
from gateway.sockets import take_over
first, second = take_over()
first.setblocking(True)
connection, _ = first.accept()
connection.sendall(b"port %d" % second.getsockname()[1])
connection.close()
"""


def test_an_occupied_port_is_named() -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"Port {port} on 127.0.0.1") as caught:
            bind("127.0.0.1", port)
        assert "another port" in caught.value.hint


def test_a_foreign_address_is_refused_with_what_to_do() -> None:
    with pytest.raises(InvalidInput) as caught:
        bind("203.0.113.1", 0)
    assert "gateway.host" in caught.value.hint


def test_a_socket_tells_how_it_is_reached() -> None:
    with bind("0.0.0.0", 0) as listening:
        assert url_of(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}"


async def test_no_answer_waits_for_an_acknowledgement() -> None:
    with bind("127.0.0.1", 0) as listening:
        undelayed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            undelayed.set_result(bool(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
            writer.close()

        async with await asyncio.start_server(look, sock=listening.dup()):
            with socket.create_connection(listening.getsockname(), timeout=10):
                assert await undelayed


def test_a_child_serves_what_its_parent_listens_on(pytestconfig: pytest.Config) -> None:
    # The connection is made before the child exists: it waits instead of being refused.
    with (
        bind("127.0.0.1", 0) as first,
        bind("127.0.0.1", 0) as second,
        socket.create_connection(first.getsockname(), timeout=10) as connection,
    ):
        program = CHILD.format(root=str(pytestconfig.rootpath))
        child = hand_over([sys.executable, "-c", program], [first, second])
        assert connection.recv(100) == b"port %d" % second.getsockname()[1]
        assert child.wait(10) == 0


def test_a_process_that_was_given_nothing_takes_nothing_over() -> None:
    assert take_over() == []


@pytest.mark.parametrize(
    ("command", "wrapper", "started", "more"),
    [
        (["venv", "-m", "x"], "venv", ["base", "-m", "x"], {"__PYVENV_LAUNCHER__": "venv"}),
        (["base", "-m", "x"], "base", ["base", "-m", "x"], {}),
        (["other", "-m", "x"], "venv", ["other", "-m", "x"], {}),
    ],
)
def test_a_child_is_the_python_behind_the_environment(
    command: list[str], wrapper: str, started: list[str], more: dict[str, str]
) -> None:
    assert unwrapped(command, wrapper, "base") == (started, more)


class Greeting(asyncio.Protocol):
    """Says who serves, and closes."""

    def __init__(self, name: bytes) -> None:
        self.name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self.name)
        transport.close()


async def greeting_of(connection: socket.socket) -> bytes:
    reader, writer = await asyncio.open_connection(sock=connection)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_one_acceptor_follows_another_and_between_them_connections_wait() -> None:
    with bind("127.0.0.1", 0) as listening:
        address = listening.getsockname()
        first = Acceptor(listening, lambda: Greeting(b"first"))
        assert await greeting_of(socket.create_connection(address, 10)) == b"first"
        await asyncio.to_thread(first.close)
        waiting = socket.create_connection(address, 10)
        second = Acceptor(listening, lambda: Greeting(b"second"))
        assert await greeting_of(waiting) == b"second"
        await asyncio.to_thread(second.close)
