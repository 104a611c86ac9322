"""Spec 5.1, rollout - decides whether versions change under running agents without one of them noticing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domain.errors import InvalidInput, PluginRegistrationFailed
from domain.routing import PluginVersion
from tests.gateway.factories import GOOD, SLOW, Agent, House, Running, house, route, stored, swap, until

SWAPS = 102
CALLS = 2_000
CALLERS = 8


@pytest.mark.slow
async def test_no_call_fails_while_versions_are_swapped_under_load(tmp_path: Path) -> None:
    built = house(tmp_path)
    versions = [built.install(f"1.0.{patch}") for patch in range(3)]
    async with built.running() as running:
        await running.admin.set_route(route(versions[0]))
        answers: Counter[str] = Counter()
        swapping = asyncio.create_task(swap(running, versions, SWAPS))

        async def make_load(number: int) -> None:
            async with Agent(running.door, {"X-Upgrade-Loop-User": f"user-{number}"}) as agent:
                while answers.total() < CALLS or not swapping.done():
                    answers[await agent.shout()] += 1

        await asyncio.gather(swapping, *(make_load(number) for number in range(CALLERS)))
        generation = (await running.admin.status()).generation
        await running.admin.flush()

    assert generation == SWAPS
    assert set(answers) == {"1.0.0", "1.0.1", "1.0.2"}
    assert answers.total() >= CALLS
    records = stored(built.home)
    assert [record for record in records.calls if record.error] == []
    assert len(records.final) == len({record.call_id for record in records.final}) == answers.total()


async def test_versions_that_are_put_down_at_once_lose_no_call_either(tmp_path: Path) -> None:
    built = house(tmp_path, warm_hold_seconds=0)
    versions = [built.install(f"1.0.{patch}", body="import time; time.sleep(0.02); " + GOOD) for patch in range(2)]
    async with built.running() as running:
        await running.admin.set_route(route(versions[0]))
        answers: Counter[str] = Counter()
        swapping = asyncio.create_task(swap(running, versions, 12))

        async def make_load() -> None:
            async with Agent(running.door) as agent:
                while not swapping.done():
                    answers[await agent.shout()] += 1

        await asyncio.gather(swapping, *(make_load() for _ in range(4)))

    assert set(answers) == {"1.0.0", "1.0.1"}
    assert all(record.final and record.error is None for record in stored(built.home).calls)


@pytest.fixture(scope="module")
async def building(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, Running]]:
    built = house(tmp_path_factory.mktemp("swaps"), warm_hold_seconds=0.2)
    async with built.running() as running:
        yield built, running


async def test_the_same_route_again_changes_nothing(building: tuple[House, Running]) -> None:
    built, running = building
    wanted = route(built.install("1.0.0", capability="same"), capability="same")
    first = await running.admin.set_route(wanted)
    again = await running.admin.set_route(wanted)
    gone = await running.admin.remove_route("same")
    gone_again = await running.admin.remove_route("same")

    assert again == first
    assert (gone.generation, gone_again) == (first.generation + 1, gone)


async def test_orders_given_at_once_each_get_a_table_of_their_own(building: tuple[House, Running]) -> None:
    built, running = building
    names = [f"many_{number}" for number in range(5)]
    versions = [built.install("1.0.0", capability=name) for name in names]
    orders = (route(version, capability=name) for name, version in zip(names, versions, strict=True))
    tables = await asyncio.gather(*(running.admin.set_route(order) for order in orders))

    assert len({table.generation for table in tables}) == len(names)
    newest = max(tables, key=lambda table: table.generation)
    assert (await running.admin.status()).table == newest
    assert set(names) <= set(newest.routes)


async def test_a_version_that_does_not_come_up_leaves_the_old_table_serving(building: tuple[House, Running]) -> None:
    built, running = building
    sound = built.install("1.0.0", capability="sturdy")
    before = await running.admin.set_route(route(sound, capability="sturdy"))
    sick = built.install("2.0.0", capability="sturdy", head='raise RuntimeError("no")')
    with pytest.raises(PluginRegistrationFailed, match=r"sturdy_plugin@2\.0\.0"):
        await running.admin.set_route(route(sick, capability="sturdy"))
    absent = PluginVersion(plugin="sturdy_plugin", version=sound.version, digest="0" * 64)
    with pytest.raises(PluginRegistrationFailed):
        await running.admin.set_route(route(sound, absent, capability="sturdy"))

    async with Agent(running.door) as agent:
        result = await agent.call("sturdy__shout", {"text": "a"})
    status = await running.admin.status()
    assert (status.table, result["structuredContent"]["by"]) == (before, "1.0.0")
    assert sick.digest not in {one.version.digest for one in status.versions}


async def test_a_route_that_makes_no_sense_is_refused(building: tuple[House, Running]) -> None:
    built, running = building
    with pytest.raises(InvalidInput, match="names no version"):
        await running.admin.set_route(route(capability="empty"))
    with pytest.raises(InvalidInput, match="does not provide other"):
        await running.admin.set_route(route(built.install("1.0.0", capability="mine"), capability="other"))


async def test_the_last_version_is_kept_warm_and_then_put_down(building: tuple[House, Running]) -> None:
    built, running = building
    old, new = (built.install(f"{major}.0.0", capability="warm") for major in (1, 2))

    async def loaded() -> set[str]:
        return {one.version.digest for one in (await running.admin.status()).versions}

    await running.admin.set_route(route(old, capability="warm"))
    await running.admin.set_route(route(new, capability="warm"))
    assert {old.digest, new.digest} <= await loaded()

    async def is_down() -> bool:
        return old.digest not in await loaded()

    await until(is_down, 5)
    assert new.digest in await loaded()


async def test_a_version_taken_back_while_it_is_held_stays(building: tuple[House, Running]) -> None:
    built, running = building
    old, new = (built.install(f"{major}.0.0", capability="back") for major in (1, 2))
    for version in (old, new):
        await running.admin.set_route(route(version, capability="back"))
    started = time.monotonic()
    await running.admin.set_route(route(old, capability="back"))
    took = time.monotonic() - started
    await asyncio.sleep(0.5)

    async with Agent(running.door) as agent:
        result = await agent.call("back__shout", {"text": "a"})
    restarts = [one.restarts for one in (await running.admin.status()).versions if one.version == old]
    assert (result["structuredContent"]["by"], restarts) == ("1.0.0", [0])
    assert took < 0.15, "taking a warm version back starts no process"


async def test_a_version_that_drains_finishes_its_calls(building: tuple[House, Running]) -> None:
    built, running = building
    slow = built.install("1.0.0", capability="drain", body=SLOW)
    quick = built.install("2.0.0", capability="drain")
    await running.admin.set_route(route(slow, capability="drain"))
    async with Agent(running.door) as agent:
        call = asyncio.create_task(agent.call("drain__shout", {"text": "1"}))

        async def is_running() -> bool:
            return (await running.admin.status()).in_flight == 1

        await until(is_running)
        await running.admin.set_route(route(quick, capability="drain"))
        after = await agent.call("drain__shout", {"text": "a"})
        before = await call

    assert after["structuredContent"]["by"] == "2.0.0"
    assert before["structuredContent"]["by"] == "1.0.0"
