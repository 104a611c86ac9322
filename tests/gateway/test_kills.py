"""Spec 3.1: a plugin killed in mid-call costs its caller one clear error at most, and nobody the next answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from domain.calls import ErrorKind
from domain.isolation import Isolation
from domain.routing import PluginVersion
from plugins.core.isolation import this_machine
from tests.children import is_gone, own_children
from tests.gateway.factories import Agent, House, Running, house, route, stored, until

BEGUN = """
import os, time

def begun(text):
    with open(text, "a") as file:
        file.write(f"{os.getpid()}\\n")
    for _ in range(200):
        time.sleep(0.05)
        if os.path.exists(text + ".go"):
            return {"answer": str(os.getpid()), "by": VERSION}
"""
"""A method that says which process serves it, and takes as long as the test wants; without walls that name it anew."""


@pytest.fixture
async def building(tmp_path: Path) -> AsyncIterator[tuple[House, Running]]:
    built = house(tmp_path)
    async with built.running() as running:
        yield built, running


async def served(place: tuple[House, Running], **method: Any) -> PluginVersion:
    built, running = place
    method = {"profile": {"isolation": "trusted"}, **method}
    version = built.install("1.0.0", head=BEGUN, body="return begun(text)", timeout_seconds=30, **method)
    await running.admin.set_route(route(version))
    return version


async def killed_in_mid_call(agent: Agent, file: Path, victim: psutil.Process | None = None) -> dict[str, Any]:
    """Make a call, kill the process that serves it, or another, with no warning; return what the caller was told."""
    call = asyncio.create_task(agent.call("text__shout", {"text": str(file)}))
    await until(lambda: file.exists() and file.read_text().endswith("\n"))
    (victim or psutil.Process(int(file.read_text()))).kill()
    file.with_suffix(".go").touch()
    return await call


@pytest.mark.parametrize("side_effects", ["none", "idempotent"])
async def test_a_call_that_may_be_repeated_is_answered_all_the_same(
    building: tuple[House, Running], tmp_path: Path, side_effects: str
) -> None:
    await served(building, side_effects=side_effects)
    file = tmp_path / "seen"
    async with Agent(building[1].door) as agent:
        result = await killed_in_mid_call(agent, file)
    first, second = file.read_text().split()
    assert result["structuredContent"] == {"answer": second, "by": "1.0.0"}
    assert first != second


async def test_a_call_that_may_not_be_repeated_ends_in_one_clear_error_and_the_next_is_answered(
    building: tuple[House, Running], tmp_path: Path
) -> None:
    version = await served(building, side_effects="unsafe")
    file = tmp_path / "seen"
    async with Agent(building[1].door) as agent:
        result = await killed_in_mid_call(agent, file)
        following = await agent.call("text__shout", {"text": str(file)})
    assert (result["isError"], result["_meta"]["error"]) == (True, ErrorKind.OUTCOME_UNKNOWN)
    (told,) = result["content"]
    assert f"This was call {result['_meta']['call_id']}; look whether it was done" in told["text"]
    assert version.id in told["text"]
    assert len(file.read_text().split()) == 2, "the call was made once, the next call once"
    assert following["structuredContent"]["answer"] == file.read_text().split()[1]
    await building[1].admin.flush()
    recorded = [call.error for call in stored(building[1].home).calls]
    assert recorded == [ErrorKind.OUTCOME_UNKNOWN, None]


@pytest.mark.parametrize("resources", [{"spares": 0}, {"spares": 1}, {"instances": 3, "spares": 0}])
async def test_whichever_process_of_whichever_plugin_is_killed_the_next_call_is_answered(
    building: tuple[House, Running], tmp_path: Path, resources: dict[str, int]
) -> None:
    await served(building, side_effects="unsafe", resources=resources)
    async with Agent(building[1].door) as agent:
        for turn in range(3):
            file = tmp_path / f"seen-{turn}"
            told = await killed_in_mid_call(agent, file)
            assert told["_meta"]["error"] == ErrorKind.OUTCOME_UNKNOWN
            answered = await agent.call("text__shout", {"text": str(file)})
            assert answered["structuredContent"]["by"] == "1.0.0"


@pytest.mark.parametrize("which", ["the walls", "the plugin within"])
async def test_walls_and_plugin_die_together(building: tuple[House, Running], tmp_path: Path, which: str) -> None:
    if not (offer := this_machine().offer(Isolation.SANDBOX)).available:
        pytest.skip(f"{offer.reason} {offer.fix}")
    profile = {"isolation": "sandbox", "write_paths": [str(tmp_path)]}
    before = own_children()
    await served(building, side_effects="unsafe", profile=profile, resources={"spares": 0})
    (walls,) = [child for child in own_children() if child not in before]
    (within,) = walls.children()
    async with Agent(building[1].door) as agent:
        told = await killed_in_mid_call(agent, tmp_path / "seen", walls if which == "the walls" else within)
        assert told["_meta"]["error"] == ErrorKind.OUTCOME_UNKNOWN
        following = await agent.call("text__shout", {"text": str(tmp_path / "seen")})
    assert following["structuredContent"]["by"] == "1.0.0"
    await until(lambda: all(is_gone(process) for process in (walls, within)))
