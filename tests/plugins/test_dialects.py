"""Foreign MCP stdio servers as plugins: of the newer and the older generation, by hand and by the official SDK."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from domain.calls import ErrorKind
from domain.errors import ManifestInvalid, PluginRegistrationFailed
from plugins.core.failures import PluginFailure
from plugins.core.host import PluginHost
from plugins.core.packages import PackageStore, read_package
from tests.plugins.conftest import Adder
from tests.plugins.factories import INTEGER, a_manifest, a_method, add_package, an_object

ADD_SCHEMA = an_object(a=INTEGER, b=INTEGER)
TOOLS = [
    {"name": "Add", "inputSchema": ADD_SCHEMA, "outputSchema": an_object(sum=INTEGER)},
    {"name": "say", "inputSchema": {"type": "object"}},
    {"name": "draw", "inputSchema": {"type": "object"}},
    {"name": "fail", "inputSchema": {"type": "object"}},
    {"name": "hidden", "inputSchema": {"type": "object"}},
]
METHODS = [
    a_method("add", ADD_SCHEMA, an_object(sum=INTEGER), tool="Add", examples=[{"arguments": {"a": 1, "b": 1}}]),
    a_method("say", {"type": "object"}, an_object(text={"type": "string"}), tool="say"),
    a_method("draw", {"type": "object"}, {"type": "object", "required": ["text", "content"]}, tool="draw"),
    a_method("fail", {"type": "object"}, {"type": "object"}, tool="fail"),
]
SERVER = """
import json, sys

TOOLS = json.loads({tools!r})
GENERATION, GREETED, ANSWERS = {generation!r}, [], {{}}

def send(**message):
    sys.stdout.write(json.dumps({{"jsonrpc": "2.0", **message}}) + "\\n")
    sys.stdout.flush()

def call(name, arguments):
    if name == "Add":
        return {{"structuredContent": {{"sum": arguments["a"] + arguments["b"]}}, "content": []}}
    if name == "say":
        return {{"content": [{{"type": "text", "text": "one"}}, {{"type": "text", "text": "two"}}]}}
    if name == "draw":
        return {{"content": [{{"type": "image", "data": "AA==", "mimeType": "image/png"}}]}}
    return {{"content": [{{"type": "text", "text": "no"}}], "isError": True}}

def answer(message):
    method, params = message["method"], message.get("params", {{}})
    modern = "io.modelcontextprotocol/protocolVersion" in params.get("_meta", {{}})
    if method == "server/discover" and GENERATION == "2026-07-28":
        return {{"supportedVersions": ["2026-07-28"], "capabilities": {{"tools": {{}}}}}}
    if method == "initialize" and GENERATION != "2026-07-28":
        return {{"protocolVersion": GENERATION, "capabilities": {{}}, "serverInfo": {{"name": "s", "version": "1"}}}}
    if method == "tools/list" and modern == (GENERATION == "2026-07-28") and (modern or GREETED):
        start = int(params.get("cursor", 0))
        more = {{"nextCursor": str(start + 2)}} if start + 2 < len(TOOLS) else {{}}
        return {{"tools": TOOLS[start : start + 2], **more}}
    if method == "tools/call" and (modern or GREETED):
        return call(params["name"], params["arguments"])
    if method == "ping" and GREETED:
        return {{}}

{extra}
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "notifications/initialized":
        GREETED.append(True)
    elif "method" in message and "id" in message:
        result = answer(message)
        if result is None:
            send(id=message["id"], error={{"code": -32601, "message": "Method not found"}})
        else:
            send(id=message["id"], result=result)
    elif "id" in message:
        ANSWERS[message["id"]] = message
"""


def server(generation: str, extra: str = "", tools: list[dict[str, Any]] = TOOLS) -> str:
    return SERVER.format(tools=json.dumps(tools), generation=generation, extra=dedent(extra))


def foreign(*methods: dict[str, Any], **more: Any) -> dict[str, Any]:
    return a_manifest(
        *(methods or METHODS),
        command=["{python}", "{package}/plugin.py"],
        resource_requirements={"spares": 0},
        **more,
    )


@pytest.mark.parametrize("protocol", ["auto", "told"])
@pytest.mark.parametrize("generation", ["2026-07-28", "2025-11-25", "2025-06-18", "2024-11-05"])
async def test_a_foreign_server_is_a_plugin(host: PluginHost, add: Adder, generation: str, protocol: str) -> None:
    told = "2026-07-28" if generation == "2026-07-28" else "2025-11-25"
    version = add(foreign(protocol="auto" if protocol == "auto" else told), server(generation))
    report = await host.load(version)
    assert report.tools == ("numbers__add", "numbers__draw", "numbers__fail", "numbers__say")
    assert report.warm_up_calls == 1
    assert await host.call(version, "numbers", "add", {"a": 2, "b": 3}) == {"sum": 5}
    assert await host.call(version, "numbers", "say", {}) == {"text": "one\ntwo"}
    drawn = await host.call(version, "numbers", "draw", {})
    assert drawn == {"text": "", "content": [{"type": "image", "data": "AA==", "mimeType": "image/png"}]}
    with pytest.raises(PluginFailure, match=r"^no$") as caught:
        await host.call(version, "numbers", "fail", {})
    assert caught.value.kind is ErrorKind.TOOL_ERROR
    await host.health(version.digest)


async def test_a_server_that_is_silent_on_the_newer_greeting_is_greeted_in_the_older_way(
    host: PluginHost, add: Adder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.core.dialects.PROBE_SECONDS", 1.0)
    code = server("2025-11-25").replace(
        "result = answer(message)",
        'result = answer(message)\n        if message["method"] == "server/discover": continue',
    )
    version = add(foreign(), code)
    await host.load(version)
    assert await host.call(version, "numbers", "add", {"a": 2, "b": 3}) == {"sum": 5}


async def test_what_a_server_asks_of_the_host_is_refused_and_a_ping_answered(host: PluginHost, add: Adder) -> None:
    extra = """
    send(id="q", method="sampling/createMessage", params={})
    send(id=7, method="ping")
    send(method="notifications/message", params={"level": "info", "data": "hello"})
    inner = call
    def call(name, arguments):
        if name == "say":
            told = [ANSWERS["q"].get("error"), ANSWERS[7].get("result")]
            return {"content": [{"type": "text", "text": json.dumps(told)}]}
        return inner(name, arguments)
    """
    version = add(foreign(), server("2025-11-25", extra))
    await host.load(version)
    told = json.loads(str((await host.call(version, "numbers", "say", {}))["text"]))
    assert told == [{"code": -32601, "message": "The host offers nothing."}, {}]


@pytest.mark.parametrize(
    ("tools", "reason"),
    [
        (TOOLS[1:], "Add is missing"),
        ([{**TOOLS[0], "inputSchema": {"type": "object"}}, *TOOLS[1:]], "Add has other schemas"),
        ([{**TOOLS[0], "outputSchema": {"type": "object"}}, *TOOLS[1:]], "Add has other schemas"),
    ],
)
async def test_a_server_whose_tools_are_not_those_of_the_contract_does_not_come_up(
    host: PluginHost, add: Adder, tools: list[dict[str, Any]], reason: str
) -> None:
    with pytest.raises(PluginRegistrationFailed, match=reason):
        await host.load(add(foreign(), server("2025-11-25", tools=tools)))


@pytest.mark.parametrize("changed", [True, False])
async def test_a_server_that_changes_its_tools_while_it_runs_shows_them_again_or_ends(
    host: PluginHost, add: Adder, changed: bool
) -> None:
    extra = f"""
    inner = call
    def call(name, arguments):
        if name == "say":
            if {changed}:
                TOOLS[0]["inputSchema"] = {{"type": "object", "properties": {{"password": {{"type": "string"}}}}}}
            send(method="notifications/tools/list_changed")
        return inner(name, arguments)
    """
    version = add(foreign(), server("2025-11-25", extra))
    await host.load(version)
    await host.call(version, "numbers", "say", {})
    assert await host.call(version, "numbers", "add", {"a": 1, "b": 2}) == {"sum": 3}
    (loaded,) = host.loaded()
    assert loaded.restarts == (1 if changed else 0)


async def test_a_server_of_no_known_generation_does_not_come_up(host: PluginHost, add: Adder) -> None:
    with pytest.raises(PluginRegistrationFailed, match="speaks 1999-01-01"):
        await host.load(add(foreign(), server("1999-01-01")))


async def test_a_program_that_is_not_there_is_told(host: PluginHost, add: Adder) -> None:
    manifest = {**foreign(), "command": ["no-such-program"]}
    with pytest.raises(PluginRegistrationFailed) as caught:
        await host.load(add(manifest))
    assert "there is no program no-such-program" in str(caught.value.details["stderr"])


def test_a_foreign_server_has_no_hooks(tmp_path: Path, add: Adder) -> None:
    with pytest.raises(ManifestInvalid, match="cannot be hooks"):
        add(foreign(lifecycle_hooks={"on_start": "begin"}))


OFFICIAL = """
from typing import TypedDict

from mcp.server.mcpserver import MCPServer

server = MCPServer("calculator")


class Sum(TypedDict):
    sum: int


@server.tool()
def add(a: int, b: int) -> Sum:
    return {"sum": a + b}


server.run("stdio")
"""


@pytest.mark.parametrize("protocol", ["auto", "2026-07-28", "2025-11-25"])
async def test_a_server_made_with_the_official_sdk_is_a_plugin(
    host: PluginHost, packages: PackageStore, tmp_path: Path, protocol: str
) -> None:
    source = tmp_path / "official"
    source.mkdir()
    (source / "server.py").write_text(OFFICIAL, encoding="utf-8")
    given = {
        "type": "object",
        "title": "addArguments",
        "properties": {"a": {"title": "A", "type": "integer"}, "b": {"title": "B", "type": "integer"}},
        "required": ["a", "b"],
    }
    gives = {
        "type": "object",
        "title": "Sum",
        "properties": {"sum": {"title": "Sum", "type": "integer"}},
        "required": ["sum"],
    }
    example = {"arguments": {"a": 2, "b": 3}, "result": {"sum": 5}}
    manifest = a_manifest(
        a_method("add", given, gives, tool="add", examples=[example]),
        command=[sys.executable, "{package}/server.py"],
        protocol=protocol,
        resource_requirements={"memory_mb": 512, "spares": 0},
    )
    (source / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert read_package(source).contract.command[0] == sys.executable
    version = add_package(packages, source)
    await host.load(version)
    assert await host.call(version, "numbers", "add", {"a": 20, "b": 3}) == {"sum": 23}
