"""Spec 3.1, capability interface - decides whether agents get through the door with the clients they really use.

The client is the official SDK's, in both protocol generations.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from mcp import MCPError
from mcp.client import Client
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import ToolsListChanged
from mcp_types import CallToolResult, TextContent, ToolListChangedNotification

from domain.calls import CallRecord, ErrorKind
from tests.gateway.factories import House, Running, house, route, stored, until

SESSIONS, STATELESS = "legacy", "2026-07-28"
BUILT_IN = ["find_capability", "call_capability", "request_capability", "report_outcome"]
both_generations = pytest.mark.parametrize("mode", [SESSIONS, STATELESS])


@pytest.fixture(scope="module")
async def building(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, Running]]:
    built = house(tmp_path_factory.mktemp("door"))
    async with built.running() as running:
        await running.admin.set_route(route(built.install("1.0.0")))
        yield built, running


@pytest.fixture
def running(building: tuple[House, Running]) -> Running:
    return building[1]


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def error_of(result: CallToolResult) -> object:
    assert result.is_error
    return (result.meta or {})["error"]


async def records_of(running: Running, result: CallToolResult) -> list[CallRecord]:
    """Return what the ledger holds of the call that gave a result."""
    call_id = (result.meta or {})["call_id"]
    await running.admin.flush()
    return [record for record in stored(running.home).calls if record.call_id == call_id]


@both_generations
async def test_an_agent_lists_and_calls_what_plugins_provide(running: Running, mode: str) -> None:
    async with Client(running.door, mode=mode) as agent:
        assert agent.protocol_version == ("2025-11-25" if mode == SESSIONS else "2026-07-28")
        listed = (await agent.list_tools()).tools
        result = await agent.call_tool("text__shout", {"text": "hello"})

    assert [tool.name for tool in listed] == ["text__shout", *BUILT_IN]
    assert result.structured_content == {"answer": "HELLO", "by": "1.0.0"}
    assert text_of(result) == '{"answer":"HELLO","by":"1.0.0"}'
    (record,) = await records_of(running, result)
    assert (record.final, record.error, record.version) == (True, None, "text_plugin@1.0.0")


async def test_a_tool_is_shown_with_its_schemas_and_what_calling_it_does(running: Running) -> None:
    async with Client(running.door, mode=STATELESS) as agent:
        shout = (await agent.list_tools()).tools[0]

    assert shout.description == "Say a text in capital letters."
    assert shout.input_schema["required"] == ["text"]
    assert (shout.output_schema or {})["required"] == ["answer", "by"]
    assert shout.annotations is not None
    assert (shout.annotations.read_only_hint, shout.annotations.idempotent_hint) == (True, True)


@both_generations
async def test_a_tool_that_is_not_there_gets_a_sentence_and_becomes_a_request(running: Running, mode: str) -> None:
    name = f"text__shoot_{'session' if mode == SESSIONS else 'alone'}"
    async with Client(f"{running.base}/agents/bot/mcp", mode=mode) as agent:
        result = await agent.call_tool(name, {"text": "hello"})

    assert error_of(result) == ErrorKind.UNKNOWN_TOOL
    assert text_of(result).startswith(f"There is no tool {name!r} here. The closest are text__shout.")
    assert "request_capability" in text_of(result)
    (record,) = await records_of(running, result)
    assert (record.error, record.version, record.failed_by_loop) == (ErrorKind.UNKNOWN_TOOL, None, False)
    (request,) = [one for one in stored(running.home).requests if one.text == name]
    assert (request.kind, request.agent) == ("unknown_tool", "bot")


@both_generations
async def test_arguments_that_do_not_fit_are_the_callers_mistake(running: Running, mode: str) -> None:
    async with Client(running.door, mode=mode) as agent:
        result = await agent.call_tool("text__shout", {"text": 7})
        built_in = await agent.call_tool("find_capability", {"wish": "shout"})

    assert error_of(result) == ErrorKind.INVALID_ARGUMENTS
    assert "text" in text_of(result)
    (record,) = await records_of(running, result)
    assert (record.error, record.variant) == (ErrorKind.INVALID_ARGUMENTS, "control")
    assert error_of(built_in) == ErrorKind.INVALID_ARGUMENTS
    assert "find_capability" in text_of(built_in)


@both_generations
async def test_what_an_agent_lacks_reaches_the_store_in_its_own_words(running: Running, mode: str) -> None:
    need = f"Turn a page into a PDF ({mode})"
    async with Client(running.door, mode=mode) as agent:
        result = await agent.call_tool("request_capability", {"need": need})
        empty = await agent.call_tool("request_capability", {"need": ""})

    assert (result.structured_content or {})["noted"] is True
    assert error_of(empty) == ErrorKind.INVALID_ARGUMENTS
    await running.admin.flush()
    (request,) = [one for one in stored(running.home).requests if one.text == need]
    assert request.kind == "asked"


@both_generations
async def test_how_a_task_ended_is_kept_beside_the_call_that_decided_it(running: Running, mode: str) -> None:
    async with Client(running.door, mode=mode) as agent:
        call = await agent.call_tool("text__shout", {"text": "hello"})
        call_id = (call.meta or {})["call_id"]
        await agent.call_tool("report_outcome", {"success": False, "call_id": call_id, "note": "too loud"})

    await running.admin.flush()
    (report,) = [one for one in stored(running.home).outcomes if one.call_id == call_id]
    assert (report.success, report.note) == (False, "too loud")


@both_generations
async def test_a_capability_routed_meanwhile_is_found_and_called_in_the_same_session(
    building: tuple[House, Running], mode: str
) -> None:
    built, running = building
    capability = f"late_{'session' if mode == SESSIONS else 'alone'}"
    name = f"{capability}__shout"
    version = built.install("1.0.0", capability=capability, description=f"Shout a {capability} text.")
    async with Client(running.door, mode=mode) as agent:
        frozen = {tool.name for tool in (await agent.list_tools()).tools}
        before = await agent.call_tool("find_capability", {"query": capability})
        await running.admin.set_route(route(version, capability=capability))
        found = await agent.call_tool("find_capability", {"query": f"{capability} texts"})
        called = await agent.call_tool("call_capability", {"tool": name, "arguments": {"text": "a"}})
        direct = await agent.call_tool(name, {"text": "b"})
        await running.admin.remove_route(capability)
        gone = await agent.call_tool("call_capability", {"tool": name, "arguments": {"text": "c"}})

    assert name not in frozen
    assert (before.structured_content or {})["matches"] == []
    match = (found.structured_content or {})["matches"][0]
    assert (match["tool"], match["input_schema"]["required"]) == (name, ["text"])
    assert (called.structured_content or {})["answer"] == "A"
    assert (direct.structured_content or {})["answer"] == "B"
    assert error_of(gone) == ErrorKind.UNKNOWN_TOOL


async def test_call_capability_reaches_the_other_built_in_tools_and_never_itself(running: Running) -> None:
    async with Client(running.door, mode=STATELESS) as agent:
        found = await agent.call_tool(
            "call_capability", {"tool": "find_capability", "arguments": {"query": "capital letters"}}
        )
        looped = await agent.call_tool("call_capability", {"tool": "call_capability", "arguments": {}})

    assert (found.structured_content or {})["matches"][0]["tool"] == "text__shout"
    assert error_of(looped) == ErrorKind.UNKNOWN_TOOL


async def test_a_session_is_told_when_its_tools_change(building: tuple[House, Running]) -> None:
    built, running = building
    told: list[IncomingMessage] = []

    async def listen(message: IncomingMessage) -> None:
        told.append(message)

    async with Client(running.door, mode=SESSIONS, message_handler=listen) as agent:
        assert agent.server_capabilities.tools is not None
        assert agent.server_capabilities.tools.list_changed is True
        await agent.list_tools()
        await running.admin.set_route(route(built.install("1.0.0", capability="noisy"), capability="noisy"))
        await until(lambda: any(isinstance(one, ToolListChangedNotification) for one in told))
        names = [tool.name for tool in (await agent.list_tools(cache_mode="bypass")).tools]
        await running.admin.remove_route("noisy")

    assert "noisy__shout" in names


async def test_a_listening_stream_is_told_when_the_tools_change(building: tuple[House, Running]) -> None:
    built, running = building
    async with Client(running.door, mode=STATELESS) as agent, agent.listen(tools_list_changed=True) as stream:
        await running.admin.set_route(route(built.install("1.0.0", capability="loud"), capability="loud"))
        with anyio.fail_after(10):
            async for change in stream:
                assert isinstance(change, ToolsListChanged)
                break
        await running.admin.remove_route("loud")


async def test_a_swap_that_changes_no_definition_tells_nobody(building: tuple[House, Running]) -> None:
    built, running = building
    told: list[Any] = []

    async def listen(message: IncomingMessage) -> None:
        told.append(message)

    same = [built.install(f"1.0.{patch}", capability="calm") for patch in range(2)]
    await running.admin.set_route(route(same[0], capability="calm"))
    async with Client(running.door, mode=SESSIONS, message_handler=listen) as agent:
        await agent.list_tools()
        await running.admin.set_route(route(same[1], capability="calm"))
        result = await agent.call_tool("calm__shout", {"text": "a"})
        await anyio.sleep(0.1)
    await running.admin.remove_route("calm")

    assert (result.structured_content or {})["by"] == "1.0.1"
    assert told == []


async def test_a_method_of_the_protocol_that_is_not_there_is_a_protocol_error(running: Running) -> None:
    async with Client(running.door, mode=STATELESS) as agent:
        with pytest.raises(MCPError):
            await agent.read_resource("file:///etc/hosts")
