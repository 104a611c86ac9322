"""Spec 5.1, rollout - decides whether agents whose clients we did not write work on while versions change under them.

The clients are the official SDK's, in both protocol generations, and pydantic-ai's with a scripted model.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.session import IncomingMessage
from mcp_types import Tool
from pydantic_ai import Agent as ThinkingAgent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from domain.routing import PluginVersion, Unit
from tests.gateway.factories import Running, house, route, stored, swap

SESSIONS, STATELESS = "legacy", "2026-07-28"
SWAPS = 20
CALLS = 10
"""How often a scripted model calls a tool in one run."""


class Watcher:
    """An agent with the official client, which calls until it is told to stop and keeps what it was told."""

    def __init__(self, running: Running, mode: str) -> None:
        self.running = running
        self.mode = mode
        self.answers: Counter[str] = Counter()
        self.lists: list[list[Tool]] = []
        self.told: list[IncomingMessage] = []

    async def work(self, swapping: asyncio.Task[None]) -> None:
        """Call the tool, directly and through `call_capability`, until the swaps are over."""
        async with Client(self.running.door, mode=self.mode, message_handler=self._listen) as client:
            while not swapping.done():
                self.lists.append((await client.list_tools(cache_mode="bypass")).tools)
                shout: dict[str, Any] = {"text": "hello"}
                for name, arguments in (
                    ("text__shout", shout),
                    ("call_capability", {"tool": "text__shout", "arguments": shout}),
                ):
                    result = await client.call_tool(name, arguments)
                    assert not result.is_error, result
                    self.answers[(result.structured_content or {})["by"]] += 1

    async def _listen(self, message: IncomingMessage) -> None:
        self.told.append(message)


async def test_agents_with_the_official_client_notice_no_swap(tmp_path: Path) -> None:
    built = house(tmp_path)
    versions = [built.install(f"1.0.{patch}") for patch in range(3)]
    async with built.running() as running:
        await running.admin.set_route(route(versions[0]))
        swapping = asyncio.create_task(swap(running, versions, SWAPS))
        watchers = [Watcher(running, mode) for mode in (SESSIONS, STATELESS)]
        await asyncio.gather(swapping, *(watcher.work(swapping) for watcher in watchers))

    assert all(tools == watcher.lists[0] for watcher in watchers for tools in watcher.lists)
    assert [watcher.told for watcher in watchers] == [[]] * len(watchers)
    answers = sum((watcher.answers for watcher in watchers), Counter[str]())
    assert set(answers) <= {"1.0.0", "1.0.1", "1.0.2"}
    assert len(answers) > 1
    assert Counter((record.final, record.error) for record in stored(built.home).calls) == {
        (True, None): answers.total()
    }


async def test_agents_with_the_official_client_notice_no_rollout(tmp_path: Path) -> None:
    """A candidate gets more and more of the calls, becomes the control, and is taken back in one step."""
    built = house(tmp_path)
    old, new = built.install("1.0.0"), built.install("1.1.0")

    async def roll_out(running: Running) -> None:
        for _ in range(4):
            for share in (0.05, 0.5, 0.95):
                await running.admin.set_route(route(old, new, share=share, unit=Unit.CALL))
            await running.admin.set_route(route(new))
            await running.admin.set_route(route(old))

    async with built.running() as running:
        await running.admin.set_route(route(old))
        rolling = asyncio.create_task(roll_out(running))
        watchers = [Watcher(running, mode) for mode in (SESSIONS, STATELESS)]
        await asyncio.gather(rolling, *(watcher.work(rolling) for watcher in watchers))

    answers = sum((watcher.answers for watcher in watchers), Counter[str]())
    assert set(answers) == {"1.0.0", "1.1.0"}
    assert [watcher.told for watcher in watchers] == [[], []]
    assert {record.error for record in stored(built.home).calls} == {None}


def thinking(model: FunctionModel, running: Running) -> ThinkingAgent[None, str]:
    """Return an agent of pydantic-ai whose tools are the door's; a tool that fails ends its run."""
    return ThinkingAgent(model, toolsets=[MCPToolset[None](running.door, tool_error_behavior="error")])


def returned(messages: list[ModelMessage]) -> list[dict[str, Any]]:
    """Return what the tools have answered so far."""
    parts = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    return [part.model_response_object() for part in parts]


async def test_an_agent_with_a_model_notices_no_swap(tmp_path: Path) -> None:
    built = house(tmp_path)
    versions = [built.install(f"1.0.{patch}") for patch in range(2)]

    def scripted(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        """Call the tool ten times, then tell who answered."""
        answers = returned(messages)
        if len(answers) < CALLS:
            assert "text__shout" in {tool.name for tool in info.function_tools}
            return ModelResponse(parts=[ToolCallPart("text__shout", {"text": f"call {len(answers)}"})])
        return ModelResponse(parts=[TextPart(" ".join(answer["by"] for answer in answers))])

    told: list[str] = []
    async with built.running() as running:
        await running.admin.set_route(route(versions[0]))
        async with thinking(FunctionModel(scripted), running) as agent:
            swapping = asyncio.create_task(swap(running, versions, SWAPS))
            while not swapping.done():
                told += (await agent.run("Shout.")).output.split()

    assert set(told) <= {"1.0.0", "1.0.1"}
    assert Counter((record.final, record.error) for record in stored(built.home).calls) == {(True, None): len(told)}


async def test_an_agent_with_a_model_uses_what_was_deployed_after_it_began(tmp_path: Path) -> None:
    """Its list of tools is from before; the meta-tools reach the new capability in the same run."""
    built = house(tmp_path)
    late = built.install("1.0.0", capability="late", description="Shout a text late.")
    frozen: set[str] = set()

    async with built.running() as running:
        await running.admin.set_route(route(built.install("1.0.0")))

        async def scripted(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            """Find nothing, see a capability deployed, find it, and call it."""
            frozen.update(tool.name for tool in info.function_tools)
            answers = returned(messages)
            if len(answers) == 1:
                await running.admin.set_route(route(late, capability="late"))
            if len(answers) < 2:
                return ModelResponse(parts=[ToolCallPart("find_capability", {"query": "late"})])
            if len(answers) == 2:
                (found,) = answers[1]["matches"]
                call = {"tool": found["tool"], "arguments": {"text": "at last"}}
                return ModelResponse(parts=[ToolCallPart("call_capability", call)])
            assert answers[0]["matches"] == []
            return ModelResponse(parts=[TextPart(answers[2]["answer"])])

        toolset = MCPToolset[None](running.door, tool_error_behavior="error", cache_tools=True)
        async with ThinkingAgent(FunctionModel(scripted), toolsets=[toolset]) as agent:
            output = (await agent.run("Shout late.")).output

    assert output == "AT LAST"


@pytest.mark.parametrize("mode", [SESSIONS, STATELESS])
async def test_a_definition_has_one_hash_until_its_words_change(tmp_path: Path, mode: str) -> None:
    built = house(tmp_path)
    first, other_code, other_words = (
        built.install("1.0.0"),
        built.install("1.0.1", body='return {"answer": "!" + text.upper(), "by": VERSION}', timeout_seconds=9),
        built.install("1.0.2", description="Say a text in capital letters, and send it to everybody."),
    )

    async def hashes(version: PluginVersion, client: Client) -> tuple[str, str]:
        """Return the hash in the list and the one that a search finds."""
        await running.admin.set_route(route(version))
        listed = (await client.list_tools(cache_mode="bypass")).tools[0]
        found = await client.call_tool("find_capability", {"query": "shout"})
        return (listed.meta or {})["definition"], (found.structured_content or {})["matches"][0]["_meta"]["definition"]

    async with built.running() as running, Client(running.door, mode=mode) as client:
        before, same, changed = [await hashes(version, client) for version in (first, other_code, other_words)]

    assert before == same
    assert len({*before, *changed}) == 2
