"""A plugin answers the same in a cell as in a process without walls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from domain.base import JsonObject
from domain.contracts import PluginPackage
from plugins.core.failures import PluginFailure
from plugins.core.network import Network
from plugins.core.packages import read_package
from plugins.core.process import PluginProcess
from plugins.core.rounds import Asked, Turn
from plugins.core.sandbox import Jail, PlainJail
from plugins.core.wasm.jail import WasmJail
from tests.house.source import ROOT
from tests.plugins.factories import a_manifest, a_tool, numbers_plugin, write_package
from tests.plugins.web import Web

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EXAMPLES = sorted(path.parent for path in (ROOT / "examples" / "agent").rglob("manifest.json"))
TEMPLATE = ROOT / "plugins" / "template"

CODE = numbers_plugin(
    """
    def echo(self, **given):
        return given
    def fail(self, *, text):
        raise ValueError(text)
    def leave(self):
        raise SystemExit(3)
    def nothing(self):
        return None
    def infinity(self):
        return {"much": float("inf")}
    def count(self, *, to, progress):
        for number in range(to):
            progress(number + 1, to, f"step {number + 1}")
        return {"counted": to}
    async def slowly(self, *, seconds):
        import asyncio
        return {"waited": sum(await asyncio.gather(asyncio.sleep(seconds, 1), asyncio.sleep(seconds, 2)))}
    def sure(self, *, ask):
        answer = ask("sure", "Sure?", {"type": "object", "properties": {"yes": {"type": "boolean"}}})
        return {"answer": answer}
    def get(self, *, url, fetch):
        answer = fetch(url, method="POST", body="hello")
        return {"status": answer.status, "body": answer.json()}
    async def get_async(self, *, url, fetch):
        return {"status": (await fetch(url)).status}
    def refused(self, *, url, fetch):
        try:
            fetch(url)
        except OSError as error:
            return {"type": type(error).__name__, "text": str(error)}
    def own_queue(self):
        return {"queue": statistics.MINE}
    def lived(self):
        return {"hooks": lived}
    """,
    """
    import statistics
    lived = []
    def started(): lived.append("started")
    def warmed(): lived.append("warmed")
    """,
)
TOOLS = ("echo", "fail", "leave", "nothing", "infinity", "count", "slowly", "sure", "get", "get_async", "refused")
MORE_TOOLS = ("own_queue", "lived")
HOOKS = {"on_start": "started", "on_warm_up": "warmed"}


@pytest.fixture(params=["plain", "wasm"])
def jail(request: pytest.FixtureRequest) -> Jail:
    return PlainJail() if request.param == "plain" else request.getfixturevalue("wasm_jail")


@pytest.fixture
async def process(tmp_path: Path, jail: Jail, web: Web) -> AsyncIterator[PluginProcess]:
    tools = [a_tool(name, **({"asks": True} if name == "sure" else {})) for name in TOOLS + MORE_TOOLS]
    manifest = a_manifest(*tools, lifecycle_hooks=HOOKS, security_profile={"network_hosts": [web.here, "127.0.0.1:1"]})
    folder = write_package(tmp_path / "plugin", manifest, CODE)
    (folder / "statistics.py").write_text("MINE = 'of the plugin'", encoding="utf-8")
    package = read_package(folder)
    services = Network([web.here]).services_of(package)
    started = await PluginProcess.start(folder, package.contract, jail=jail, work=tmp_path / "work", services=services)
    yield started
    await started.stop(2)


async def outcome(process: PluginProcess, method: str, /, **arguments: Any) -> Any:
    try:
        return await process.call("numbers", method, arguments, 20)
    except PluginFailure as failure:
        return failure.kind.value, failure.message


ANYTHING: JsonObject = {"text": "ünï 🦆\n\0", "number": 2**60, "half": 0.1, "none": None, "list": [[], {}, True]}


async def test_arguments_arrive_and_results_return_as_they_are(process: PluginProcess) -> None:
    assert await outcome(process, "echo", **ANYTHING) == ANYTHING
    big = {"text": "x" * 1_000_000}
    assert await outcome(process, "echo", **big) == big


async def test_failures_are_the_same(process: PluginProcess) -> None:
    assert await outcome(process, "fail", text="not today") == ("tool_error", "not today")
    assert await outcome(process, "leave") == ("tool_error", "3")
    assert await outcome(process, "fail") == (
        "tool_error",
        "Numbers.fail() missing 1 required keyword-only argument: 'text'",
    )
    kind, text = await outcome(process, "nothing")
    assert (kind, "NoneType, not a JSON object" in text) == ("invalid_result", True)
    kind, _ = await outcome(process, "infinity")
    assert kind == "invalid_result"


async def test_progress_is_told_while_the_method_runs(process: PluginProcess) -> None:
    told: list[JsonObject] = []
    result = await process.call("numbers", "count", {"to": 3}, 20, Turn(progress=told.append))
    assert result == {"counted": 3}
    assert told == [{"progress": number, "total": 3, "message": f"step {number}"} for number in (1, 2, 3)]


async def test_a_question_goes_to_the_person_and_its_answer_comes_back(process: PluginProcess) -> None:
    with pytest.raises(Asked) as caught:
        await process.call("numbers", "sure", {}, 20)
    answers: JsonObject = {"sure": {"action": "accept", "content": {"yes": True}}}
    turn = Turn(state=caught.value.state, answers=answers)
    assert await process.call("numbers", "sure", {}, 20, turn) == {"answer": {"yes": True}}


async def test_coroutines_run(process: PluginProcess) -> None:
    assert await outcome(process, "slowly", seconds=0.05) == {"waited": 3}


async def test_the_network_is_reached_through_the_host(process: PluginProcess, web: Web) -> None:
    url = f"http://{web.here}/echo"
    body = {"method": "POST", "path": "/echo", "body": "hello"}
    assert await outcome(process, "get", url=url) == {"status": 200, "body": body}
    assert await outcome(process, "get_async", url=url) == {"status": 200}
    refused = await outcome(process, "refused", url="http://127.0.0.1:1/")
    assert refused["type"] == "PermissionError"
    assert "security.network_hosts" in refused["text"]


async def test_a_call_that_waits_for_the_network_is_freed_when_it_is_given_up(process: PluginProcess, web: Web) -> None:
    waiting = asyncio.create_task(process.call("numbers", "get", {"url": f"http://{web.here}/silence"}, 0.5))
    with pytest.raises(PluginFailure):
        await waiting
    await web.closed()
    async with asyncio.timeout(2):
        assert await outcome(process, "echo", a=1) == {"a": 1}


async def test_hooks_run(process: PluginProcess) -> None:
    await process.hook("on_warm_up")
    assert await outcome(process, "lived") == {"hooks": ["started", "warmed"]}


async def test_a_plugins_own_module_comes_before_the_librarys(process: PluginProcess) -> None:
    assert await outcome(process, "own_queue") == {"queue": "of the plugin"}


# The plugins that are here


@pytest.mark.parametrize("folder", [*EXAMPLES, TEMPLATE], ids=lambda path: path.relative_to(ROOT).as_posix())
async def test_plugins_keep_their_golden_calls_in_a_cell(folder: Path, wasm_jail: WasmJail, tmp_path: Path) -> None:
    package = read_package(folder)
    process = await PluginProcess.start(folder, package.contract, jail=wasm_jail, work=tmp_path)
    try:
        assert [call async for call in broken_promises(process, package)] == []
    finally:
        await process.stop(2)


async def broken_promises(process: PluginProcess, package: PluginPackage) -> AsyncIterator[str]:
    for interface in package.contract.provided_interfaces:
        for method in interface.methods:
            for example in method.examples:
                result = await process.call(interface.name, method.name, example.arguments, 30)
                if example.result is not None and not method.agree(example.result, result):
                    yield f"{method.name} {example.arguments}: {result}"
