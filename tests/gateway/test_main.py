"""Spec 10.1, deployment - decides whether the gateway's process may die, stop and come back without an agent noticing.

The process is the one that `up` runs: `worker.cli gateway`, started with the sockets that its supervisor holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket

import pytest
from mcp.client import Client

from config.home import Home
from domain.errors import GatewayUnreachable, InvalidInput
from gateway import acceptor
from gateway.admin_client import AdminClient, read_address
from gateway.sockets import bind, hand_over, url_of
from tests.gateway.factories import SLOW, Agent, House, house, route, stored, until

ROOT = Path(__file__).resolve().parents[2]
GRACE_SECONDS = 30


@pytest.fixture
def sockets() -> Iterator[list[socket]]:
    with bind("127.0.0.1", 0) as door, bind("127.0.0.1", 0) as admin:
        yield [door, admin]


def start(home: Home, sockets: list[socket]) -> subprocess.Popen[bytes]:
    """Start the gateway's process as the supervisor does."""
    command = [sys.executable, "-m", "worker.cli", "--home", str(home.root), "gateway"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "UPGRADE_LOOP_GATEWAY__LEDGER_FLUSH_SECONDS": "0.05"}
    with (home.logs / "gateway.log").open("ab") as log:
        return hand_over(command, sockets, environment=environment, output=log)


@asynccontextmanager
async def process_of(built: House, sockets: list[socket]) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Run the gateway's process, ready to take orders, while the block runs."""
    process = start(built.home, sockets)
    try:
        await until(lambda: serves(built.home, process), 30)
        yield process
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)


def serves(home: Home, process: subprocess.Popen[bytes]) -> bool:
    """Say whether this process has told where it listens."""
    assert process.poll() is None, (home.logs / "gateway.log").read_text(encoding="utf-8")
    try:
        return read_address(home).pid == process.pid
    except GatewayUnreachable:
        return False


async def test_a_killed_gateway_comes_back_behind_the_same_socket(tmp_path: Path, sockets: list[socket]) -> None:
    """No connection is refused, the table is restored, and a session from before goes on."""
    built = house(tmp_path)
    door = f"{url_of(sockets[0])}/mcp"
    versions = [built.install(f"1.0.{patch}") for patch in range(2)]
    answers: Counter[str] = Counter()

    connections = contextlib.AsyncExitStack()
    async with process_of(built, sockets) as first:
        session = await connections.enter_async_context(Client(door, mode="legacy"))
        async with AdminClient.of(built.home) as admin:
            for version in versions:
                before = await admin.set_route(route(version))
        async with Agent(door) as agent:
            answers[await agent.shout()] += 1
        await session.call_tool("text__shout", {"text": "a"})
        first.kill()
        await asyncio.to_thread(first.wait)

    # The connections are made while nobody serves the socket.
    waiting = [asyncio.create_task(shout_once(door)) for _ in range(20)]
    await asyncio.sleep(0.1)
    async with process_of(built, sockets), AdminClient.of(built.home) as admin, connections:
        answers.update(await asyncio.gather(*waiting))
        status = await admin.status()
        again = await session.call_tool("text__shout", {"text": "a"})

    assert answers == {"1.0.1": 21}
    assert (status.table, status.ready) == (before, True)
    assert (again.structured_content or {})["by"] == "1.0.1"


async def shout_once(door: str) -> str:
    async with Agent(door) as agent:
        return await agent.shout()


async def test_a_kill_takes_the_last_moments_of_the_ledger_and_nothing_before(
    tmp_path: Path, sockets: list[socket]
) -> None:
    """What the ledger promises: what a flush confirmed stays, nothing is there twice, the unflushed interval may go."""
    built = house(tmp_path)
    door = f"{url_of(sockets[0])}/mcp"
    async with process_of(built, sockets) as process, AdminClient.of(built.home) as admin, Agent(door) as agent:
        await admin.set_route(route(built.install("1.0.0")))
        ids = [(await agent.call("text__shout", {"text": "a"}))["_meta"]["call_id"] for _ in range(50)]
        await admin.flush()
        late = [(await agent.call("text__shout", {"text": "a"}))["_meta"]["call_id"] for _ in range(50)]
        process.kill()
        await asyncio.to_thread(process.wait)

    found = [record.call_id for record in stored(built.home).final]
    assert found == [*ids, *late][: len(found)]
    assert len(found) >= len(ids)


async def test_a_gateway_serves_in_the_way_of_windows_what_another_has_served(
    tmp_path: Path, sockets: list[socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole gateway with `acceptor.py`, which only Windows needs and every system can run."""
    monkeypatch.setattr(acceptor, "NEEDED", True)
    built = house(tmp_path)
    version = built.install("1.0.0")
    async with built.running(sockets=sockets) as running:
        await running.admin.set_route(route(version))
        assert await shout_once(running.door) == "1.0.0"
    waiting = asyncio.create_task(shout_once(url_of(sockets[0]) + "/mcp"))
    async with built.running(sockets=sockets):
        assert await waiting == "1.0.0"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a console program by Ctrl-Break; see docs/windows.md")
async def test_a_gateway_that_is_asked_to_stop_ends_its_calls_first(tmp_path: Path, sockets: list[socket]) -> None:
    built = house(tmp_path)
    door = f"{url_of(sockets[0])}/mcp"
    async with process_of(built, sockets) as process, Agent(door) as agent:
        async with AdminClient.of(built.home) as admin:
            await admin.set_route(route(built.install("1.0.0", body=SLOW)))
        call = asyncio.create_task(agent.shout("1"))
        await asyncio.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        assert await call == "1.0.0"
        assert await asyncio.to_thread(process.wait, GRACE_SECONDS) == 0

    with contextlib.suppress(FileNotFoundError):
        pytest.fail(f"{(built.home.root / 'gateway.json').read_text()} was left behind")
    assert [record.error for record in stored(built.home).final] == [None]


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"Port {port}"):
            async with house(tmp_path, port=port).running():
                pass


async def test_the_door_opens_with_the_last_table_while_the_database_is_down(
    tmp_path: Path, sockets: list[socket]
) -> None:
    built = house(tmp_path)
    door = f"{url_of(sockets[0])}/mcp"
    async with built.running() as running:
        await running.admin.set_route(route(built.install("1.0.0")))
    database = Path(built.home.database_url.removeprefix("sqlite:///"))
    sound = database.with_suffix(".sound")
    database.rename(sound)
    database.mkdir()

    async with process_of(built, sockets), AdminClient.of(built.home) as admin, Agent(door) as agent:
        assert await agent.shout() == "1.0.0"
        await until((built.home.root / "ledger.jsonl").exists, 20)
        status = await admin.status()
        database.rmdir()
        sound.rename(database)
        await admin.flush()

    assert (status.store_answers, status.table.generation) == (False, 1)
    assert [record.error for record in stored(built.home).final] == [None]
