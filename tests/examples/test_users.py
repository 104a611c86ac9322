"""The example's users count what they see, at a real door with real plugins behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from config.home import Home
from config.settings import Settings
from domain.routing import PluginVersion, Route
from examples.agent import inputs
from examples.agent.door import Door, Kind, PlainDoor, SdkDoor, agent_url
from examples.agent.users import AGENT as AGENT_NAME
from examples.agent.users import Users
from plugins.core.packages import PackageStore
from store.database import open_store
from tests.examples.packages import AGENT, offered
from tests.gateway.factories import House, Running
from worker.agents import adopt

DOORS: dict[str, Callable[[str], Door]] = {
    "plain": lambda url: PlainDoor(url, "ada"),
    "sdk": lambda url: SdkDoor(url, "bruno"),
    "sdk-with-sessions": lambda url: SdkDoor(url, "chiara", "legacy"),
}


def example_house(root: Path) -> House:
    """Return a home that has taken the example agent in."""
    home = Home(root / "home")
    adopt(home, AGENT, datetime.now(UTC))
    quick = {"ledger_flush_seconds": 0.05, "drain_seconds": 2}
    return House(home, Settings.model_validate({"gateway": quick}))


@asynccontextmanager
async def opened(kind: str, running: Running) -> AsyncIterator[Door]:
    door = DOORS[kind](agent_url(running.door, AGENT_NAME))
    await door.open()
    try:
        yield door
    finally:
        await door.close()


@pytest.mark.parametrize("kind", DOORS)
async def test_an_answer_says_ok_lacking_or_failed_and_why(kind: str, tmp_path: Path) -> None:
    async with example_house(tmp_path).running() as running, opened(kind, running) as door:
        good = await door.call("dates__parse", {"text": "5 March 2026"})
        missing = await door.call("units__convert", {"value": 1, "from_unit": "mile", "to_unit": "metre"})
        bad = await door.call("dates__parse", {"text": "soon"})
        tools = await door.tools()
    assert (good.kind, good.result) == (Kind.OK, {"date": "2026-03-05", "weekday": "thursday", "iso_week": 10})
    assert (missing.kind, missing.failure) == (Kind.LACKING, "unknown_tool")
    assert (bad.kind, bad.failure) == (Kind.FAILED, "tool_error")
    assert "no date is written in" in bad.text
    assert {"text__summarise", "documents__outline", "request_capability"} <= tools.keys()


async def test_what_is_not_enabled_for_a_user_is_lacking(tmp_path: Path) -> None:
    house = example_house(tmp_path)
    package = PackageStore(house.home.packages).add(offered("units", "1.0.0"))
    units = PluginVersion(plugin="units", version=package.contract.version, digest=package.digest)
    async with house.running() as running, opened("plain", running) as door:
        await running.admin.set_route(Route(capability="units", candidate=units, share=0.0, salt="s"))
        answer = await door.call("units__convert", {"value": 1, "from_unit": "mile", "to_unit": "metre"})
    assert (answer.kind, answer.failure) == (Kind.LACKING, "not_enabled")


async def test_a_door_that_is_gone_is_a_failed_connection_after_a_second_try(tmp_path: Path) -> None:
    async with example_house(tmp_path).running() as running:
        door = PlainDoor(agent_url(running.door, AGENT_NAME), "ada")
        await door.open()
    answer = await door.call("dates__parse", {"text": "5 March 2026"})
    await door.close()
    assert (answer.kind, answer.failure, answer.retried) == (Kind.FAILED, "connection", True)


async def test_users_work_all_day_and_nothing_fails(tmp_path: Path) -> None:
    house = example_house(tmp_path)
    async with house.running() as running:
        users = Users(running.door, seed=7, calls_per_second=60)
        await users.start()
        await asyncio.sleep(3)
        report = await users.stop()
        await running.admin.flush()
    store = open_store(house.home.database_url)
    totals, wishes = store.calls.totals(), store.requests.since(datetime(2026, 1, 1, tzinfo=UTC))
    store.close()
    assert report.failed == 0, report.failures
    assert report.total == report.ok + report.lacking
    assert report.ok > 20
    assert report.lacking == report.per_capability["units"]["calls"] == len(wishes) > 0
    assert totals.failed_by_loop == 0
    assert totals.total >= report.ok


async def test_users_count_a_failing_plugin_by_kind_with_examples(tmp_path: Path) -> None:
    house = example_house(tmp_path)
    package = PackageStore(house.home.packages).add(offered("documents", "1.1.0"))
    harmful = PluginVersion(plugin="documents", version=package.contract.version, digest=package.digest)
    async with house.running() as running:
        await running.admin.set_route(Route(capability="documents", control=harmful))
        async with opened("plain", running) as door:
            for seed in range(48):
                await door.call("documents__outline", {"text": inputs.document(Random(seed))})
        users = Users(running.door, seed=7, calls_per_second=60)
        await users.start()
        await asyncio.sleep(2)
        report = await users.stop()
    assert report.failed == report.per_capability["documents"]["failed"] > 0
    assert set(report.failed_by_kind) == {"tool_error"}
    assert "documents: tool_error" in report.failures[0]
    assert report.total == report.ok + report.lacking + report.failed
