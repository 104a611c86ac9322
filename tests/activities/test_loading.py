"""The four loading strategies against a real gateway, with an agent that never stops calling."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from activities.loading import GatewayDoor
from domain.contracts import PluginContract
from domain.plugins import LoadingStrategy, LoadResult, PluginState
from domain.routing import PluginVersion
from gateway.sockets import bind
from plugins.core.packages import PackageStore
from plugins.core.strategies import DynamicLoader, Terms
from tests.gateway.factories import Agent, House, Running, house, route

SOUND = 'return {"answer": text.upper(), "by": VERSION}'
QUICK = Terms(share=0.3, window_seconds=0.6, look_seconds=0.1)


@pytest.fixture
async def building(tmp_path: Path) -> AsyncIterator[tuple[House, Running]]:
    built = house(tmp_path, warm_hold_seconds=30)
    async with built.running() as running:
        yield built, running


def contract_of(built: House, version: PluginVersion) -> PluginContract:
    return PackageStore(built.home.packages).get(version.digest).contract


async def brought(
    place: tuple[House, Running], version: PluginVersion, strategy: LoadingStrategy, **changes: Any
) -> LoadResult:
    built, running = place
    contract = contract_of(built, version).model_copy(update=changes)
    loader = DynamicLoader(GatewayDoor(running.admin), QUICK)
    return await loader.load_plugin_dynamically(version, contract, strategy)


@asynccontextmanager
async def calling(running: Running) -> AsyncIterator[Counter[str]]:
    """Call all the time while the block runs, and count who answered."""
    answers: Counter[str] = Counter()
    stop = asyncio.Event()

    async def call(name: str) -> None:
        async with Agent(running.door, {"X-Upgrade-Loop-User": name}) as agent:
            while not stop.is_set():
                answers[await agent.shout()] += 1
                await asyncio.sleep(0.005)

    calls = [asyncio.create_task(call(f"user-{number}")) for number in range(4)]
    try:
        yield answers
        await asyncio.sleep(0.1)
    finally:
        stop.set()
        await asyncio.gather(*calls)


async def states(running: Running) -> dict[str, PluginState]:
    return {one.version.version: one.state for one in (await running.admin.status()).versions}


async def test_a_new_capability_comes_into_service(building: tuple[House, Running]) -> None:
    built, running = building
    result = await brought(building, built.install("1.0.0"), LoadingStrategy.HOT_SWAP)
    assert (result.passed, result.serving, result.replaced) == (True, {"text": 1.0}, {})
    async with Agent(running.door) as agent:
        assert await agent.shout() == "1.0.0"


async def test_a_hot_swap_loses_no_call_and_ends_the_old_version(building: tuple[House, Running]) -> None:
    built, running = building
    old, new = built.install("1.0.0"), built.install("2.0.0")
    await running.admin.set_route(route(old))
    async with calling(running) as answers:
        result = await brought(building, new, LoadingStrategy.HOT_SWAP)
    assert result.passed
    assert result.replaced == {"text": old}
    assert set(answers) == {"1.0.0", "2.0.0"}, "every call was answered, before the switch and after it"
    assert await states(running) == {"2.0.0": PluginState.SERVING}


@pytest.mark.parametrize("strategy", [LoadingStrategy.HOT_SWAP, LoadingStrategy.BLUE_GREEN, LoadingStrategy.CANARY])
async def test_a_version_that_does_not_come_up_leaves_the_old_one_serving(
    building: tuple[House, Running], strategy: LoadingStrategy
) -> None:
    built, running = building
    old, broken = built.install("1.0.0"), built.install("2.0.0", head="raise ImportError('no')")
    await running.admin.set_route(route(old))
    async with calling(running) as answers:
        result = await brought(building, broken, strategy)
    assert (result.passed, result.serving) == (False, {})
    assert "could not be loaded" in result.reason
    assert set(answers) == {"1.0.0"}
    assert (await running.admin.status()).table.routes["text"].control == old


async def test_blue_green_keeps_the_old_version_whole_and_back_is_quick(building: tuple[House, Running]) -> None:
    built, running = building
    old, new = built.install("1.0.0"), built.install("2.0.0")
    await running.admin.set_route(route(old))
    async with calling(running) as answers:
        result = await brought(building, new, LoadingStrategy.BLUE_GREEN)
        assert result.passed
        assert set(await states(running)) == {"1.0.0", "2.0.0"}
        clock = asyncio.get_running_loop().time
        started = clock()
        await DynamicLoader(GatewayDoor(running.admin)).switch_back(result)
        assert clock() - started < 1.0
        await asyncio.sleep(0.2)
    assert set(answers) == {"1.0.0", "2.0.0"}
    async with Agent(running.door) as agent:
        assert await agent.shout() == "1.0.0"


async def test_blue_green_switches_back_from_a_version_that_turns_sick_within_its_window(
    building: tuple[House, Running],
) -> None:
    built, running = building
    old = built.install("1.0.0")
    sick = built.install(
        "2.0.0",
        head="CALLS = []",
        body='CALLS.append(1)\n        if len(CALLS) > 3: raise RuntimeError("worn out")\n        ' + SOUND,
        examples=[{"arguments": {"text": "a"}}],
    )
    await running.admin.set_route(route(old))
    result = await brought(building, sick, LoadingStrategy.BLUE_GREEN)
    assert (result.passed, result.switched_back, result.serving) == (False, True, {})
    assert "worn out" in result.reason
    async with Agent(running.door) as agent:
        assert await agent.shout() == "1.0.0"


async def test_a_canary_serves_a_share_of_the_callers(building: tuple[House, Running]) -> None:
    built, running = building
    old, new = built.install("1.0.0"), built.install("2.0.0")
    await running.admin.set_route(route(old))
    result = await brought(building, new, LoadingStrategy.CANARY)
    assert (result.passed, result.serving) == (True, {"text": 0.3})
    answers = []
    for number in range(60):
        async with Agent(running.door, {"X-Upgrade-Loop-User": f"caller-{number}"}) as agent:
            answers.append(await agent.shout())
    assert 5 <= answers.count("2.0.0") <= 35
    promoted = await brought(building, new, LoadingStrategy.HOT_SWAP)
    assert promoted.serving == {"text": 1.0}


async def test_standard_ends_the_old_version_before_the_new_one_begins(building: tuple[House, Running]) -> None:
    built, running = building
    with bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    head = f"import socket\nONLY = socket.create_server(('127.0.0.1', {port}))"
    alone = {"head": head, "profile": {"isolation": "trusted"}}
    old, new = built.install("1.0.0", **alone), built.install("2.0.0", **alone)
    await running.admin.set_route(route(old))
    beside = await brought(building, new, LoadingStrategy.HOT_SWAP)
    assert not beside.passed
    result = await brought(building, new, LoadingStrategy.STANDARD)
    assert result.passed, result.reason
    async with Agent(running.door) as agent:
        assert await agent.shout() == "2.0.0"


async def test_standard_brings_the_old_version_back_when_the_new_one_fails(building: tuple[House, Running]) -> None:
    built, running = building
    old, broken = built.install("1.0.0"), built.install("2.0.0", head="raise ImportError('no')")
    await running.admin.set_route(route(old))
    result = await brought(building, broken, LoadingStrategy.STANDARD)
    assert not result.passed
    async with Agent(running.door) as agent:
        assert await agent.shout() == "1.0.0"


async def test_versions_that_cannot_run_side_by_side_take_standard_only(building: tuple[House, Running]) -> None:
    built, running = building
    await running.admin.set_route(route(built.install("1.0.0")))
    result = await brought(building, built.install("2.0.0"), LoadingStrategy.HOT_SWAP, hot_swap_safe=False)
    assert not result.passed
    assert "standard" in result.reason
    assert set(await states(running)) == {"1.0.0"}


async def test_a_capability_in_the_middle_of_a_rollout_is_left_alone(building: tuple[House, Running]) -> None:
    built, running = building
    wanted = route(built.install("1.0.0"), built.install("1.1.0"), share=0.5, upgrade_id="upgrade-7")
    await running.admin.set_route(wanted)
    result = await brought(building, built.install("2.0.0"), LoadingStrategy.HOT_SWAP)
    assert not result.passed
    assert "upgrade-7" in result.reason
    assert (await running.admin.status()).table.routes["text"] == wanted
