"""The plugin's side of the pipe, spoken to as any MCP client would, without the house's own side."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from mcp import Client, MCPError
from mcp.client.stdio import StdioServerParameters, stdio_client

from plugins.core.runtime import PROTOCOL_VERSION
from plugins.core.sandbox import RUNTIME
from tests.plugins.factories import ADD, a_manifest, numbers_plugin, write_package
from tests.plugins.pipes import a_plugin, command, running

# What it is


def test_it_is_standard_library_only_and_short() -> None:
    source = RUNTIME.read_text(encoding="utf-8")
    tree = ast.parse(source)
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported <= sys.stdlib_module_names
    spoken = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node) is not None
        for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    code = [line for number, line in enumerate(source.splitlines(), 1) if line.strip() and number not in spoken]
    assert len(code) < 300


async def test_the_official_client_talks_to_it(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "plugin", a_manifest(ADD, {**ADD, "name": "fail", "examples": []}))
    (folder / "plugin.py").write_text(
        numbers_plugin("def add(self, a, b): return {'sum': a + b}\ndef fail(self, a, b): raise ValueError('no')"),
        encoding="utf-8",
    )
    program, *arguments = command(folder)
    server = StdioServerParameters(command=program, args=arguments)
    async with Client(stdio_client(server), mode=PROTOCOL_VERSION) as client:
        assert client.protocol_version == PROTOCOL_VERSION
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools["numbers__add"].input_schema == ADD["input_schema"]
        assert tools["numbers__add"].output_schema == ADD["output_schema"]
        annotations = tools["numbers__add"].annotations
        assert annotations is not None
        assert annotations.read_only_hint is True
        answer = await client.call_tool("numbers__add", {"a": 2, "b": 3})
        assert (answer.is_error, answer.structured_content) == (False, {"sum": 5})
        failed = await client.call_tool("numbers__fail", {"a": 2, "b": 3})
        assert failed.is_error is True
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("numbers__divide", {})


async def test_the_official_client_finds_out_the_generation_by_itself(tmp_path: Path) -> None:
    program, *arguments = command(write_package(tmp_path / "plugin"))
    async with Client(stdio_client(StdioServerParameters(command=program, args=arguments))) as client:
        assert client.protocol_version == PROTOCOL_VERSION
        assert client.server_info is not None
        assert (client.server_info.name, client.server_info.version) == ("calculator", "1.0.0")


async def test_another_generation_is_refused_with_those_it_speaks(tmp_path: Path) -> None:
    async with running(write_package(tmp_path / "plugin")) as pipe:
        pipe.request("1", "tools/list", _meta={"io.modelcontextprotocol/protocolVersion": "2020-01-01"})
        error = (await pipe.answer())["error"]
        assert error["code"] == -32022
        assert error["data"] == {"supported": [PROTOCOL_VERSION], "requested": "2020-01-01"}


# What a plugin's code may do


async def test_a_stray_print_is_harmless_and_ends_up_on_stderr(tmp_path: Path) -> None:
    body = """
    def shout(self):
        print("at the call")
        os.write(1, b"past python\\n")
        subprocess.run([sys.executable, "-c", "print('a child')"], check=True)
        return {"read": sys.stdin.read()}
    """
    head = "import os, subprocess, sys\nprint('at import')"
    async with running(a_plugin(tmp_path / "plugin", body, "shout", head=head)) as pipe:
        pipe.tool("1", "shout")
        assert (await pipe.result())["structuredContent"] == {"read": ""}
        pipe.requests.close()
        told = (await pipe.errors.read()).decode()
    assert all(text in told for text in ("at import", "at the call", "past python", "a child"))


async def test_synchronous_methods_run_one_at_a_time_in_the_order_of_arrival(tmp_path: Path) -> None:
    body = """
    def slow(self, number):
        self.inside = getattr(self, "inside", 0) + 1
        time.sleep(0.02)
        self.inside -= 1
        return {"number": number, "others": self.inside}
    """
    async with running(a_plugin(tmp_path / "plugin", body, "slow", head="import time")) as pipe:
        for number in range(5):
            pipe.tool(str(number), "slow", number=number)
        answers = [(await pipe.result())["structuredContent"] for _ in range(5)]
    assert answers == [{"number": number, "others": 0} for number in range(5)]


async def test_asynchronous_methods_run_side_by_side(tmp_path: Path) -> None:
    body = """
    async def meet(self, count):
        self.here = getattr(self, "here", 0) + 1
        while self.here < count:
            await asyncio.sleep(0.001)
        return {"here": self.here}
    """
    async with running(a_plugin(tmp_path / "plugin", body, "meet", head="import asyncio")) as pipe:
        for number in range(20):
            pipe.tool(str(number), "meet", count=20)
        answers = [(await pipe.result())["structuredContent"] for _ in range(20)]
    assert answers == [{"here": 20}] * 20


BAD_RESULTS = {
    "nan": "{'a': float('nan')}",
    "infinity": "{'a': [float('inf')]}",
    "a list": "[1]",
    "nothing": "None",
    "a set": "{'a': {1}}",
    "bytes": "{'a': b'x'}",
    "half a pair": "{'a': chr(0xD800)}",
    "itself": "loop()",
    "too long": "{'a': 'x' * (9 << 20)}",
}


@pytest.mark.parametrize("value", BAD_RESULTS.values(), ids=BAD_RESULTS.keys())
async def test_a_result_that_is_no_json_object_is_refused_here(tmp_path: Path, value: str) -> None:
    head = "def loop():\n    a = {}\n    a['a'] = a\n    return a"
    body = f"def bad(self): return {value}\nasync def bad_later(self): return {value}\ndef good(self): return {{}}"
    async with running(a_plugin(tmp_path / "plugin", body, "bad", "bad_later", "good", head=head)) as pipe:
        for name in ("bad", "bad_later"):
            pipe.tool("1", name)
            assert (await pipe.answer())["error"]["code"] == -32603
        pipe.tool("2", "good")
        assert (await pipe.result())["structuredContent"] == {}


RAISED = {
    "ValueError('what went wrong')": "what went wrong",
    "KeyError()": "KeyError",
    "RuntimeError('x' * 1_000_000)": "x" * 2_000,
    "MemoryError()": "MemoryError",
    "UnicodeError(chr(0xD800))": "?",
}


@pytest.mark.parametrize("raised", RAISED)
async def test_an_exception_is_a_tool_error_with_its_message(tmp_path: Path, raised: str) -> None:
    body = f"def now(self): raise {raised}\nasync def later(self): raise {raised}"
    async with running(a_plugin(tmp_path / "plugin", body, "now", "later")) as pipe:
        for name in ("now", "later"):
            pipe.tool("1", name)
            result = await pipe.result()
            assert (result["isError"], result["content"]) == (True, [{"type": "text", "text": RAISED[raised]}])


@pytest.mark.parametrize("raised", ["SystemExit(3)", "asyncio.CancelledError()", "KeyboardInterrupt()"])
async def test_a_coroutine_that_wants_to_end_everything_ends_only_itself(tmp_path: Path, raised: str) -> None:
    body = f"async def leave(self): raise {raised}\nasync def stay(self): return {{}}"
    async with running(a_plugin(tmp_path / "plugin", body, "leave", "stay", head="import asyncio")) as pipe:
        pipe.tool("1", "leave")
        assert (await pipe.result())["isError"] is True
        pipe.tool("2", "stay")
        assert (await pipe.result())["structuredContent"] == {}


async def test_wrong_arguments_are_a_tool_error(tmp_path: Path) -> None:
    async with running(write_package(tmp_path / "plugin")) as pipe:
        pipe.tool("1", "add", a=1)
        assert (await pipe.result())["isError"] is True
        pipe.request("2", "tools/call", name="numbers__add", arguments=None)
        assert (await pipe.result())["isError"] is True


# Requests that are none


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"\xff",
        b"5",
        b"[]",
        b"{}",
        b'{"method":"ping"}',
        b'{"id":[1],"method":"tools/list"}',
        b'{"method":"notifications/cancelled"}',
        b"[" * 100_000,
        b'{"id":"1","method":"tools/list","params":[]}',
        b'{"id":"1","method":"tools/call","params":{"name":{}}}',
        b'{"id":"1","method":"no/such"}',
    ],
)
async def test_a_request_that_is_none_is_answered_with_an_error_and_stops_nothing(tmp_path: Path, line: bytes) -> None:
    async with running(write_package(tmp_path / "plugin")) as pipe:
        pipe.send(line)
        assert (await pipe.answer())["error"]["code"] in {-32600, -32601}
        pipe.tool("2", "add", a=1, b=2)
        assert (await pipe.result())["structuredContent"] == {"sum": 3}
