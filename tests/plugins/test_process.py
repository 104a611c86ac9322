"""When an instance is ready, what its answers mean, and how it is put down."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from domain.calls import ErrorKind
from domain.isolation import Isolation
from plugins.core import process as process_module
from plugins.core.dialects import WORDS_LIMIT
from plugins.core.failures import PluginFailure
from plugins.core.jobs import hold
from plugins.core.packages import read_package
from plugins.core.process import PluginProcess
from plugins.core.sandbox import Launch, PlainJail
from plugins.core.windows_job import Limits
from tests.plugins.factories import (
    ADD,
    ADD_CODE,
    HANDLE,
    INTEGER,
    a_manifest,
    a_method,
    a_tool,
    an_object,
    numbers_plugin,
    write_package,
)

Starter = Callable[..., Awaitable[PluginProcess]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Starter]:
    """Start a plugin from its manifest and code, with the contract it promises or another one."""
    running: list[PluginProcess] = []

    async def start_one(
        manifest: dict[str, Any] | None = None,
        code: str = ADD_CODE,
        promised: dict[str, Any] | None = None,
        **more: Any,
    ) -> PluginProcess:
        folder = write_package(tmp_path / "plugin", manifest, code)
        contract = read_package(write_package(tmp_path / "promised", promised or manifest)).contract
        process = await PluginProcess.start(
            folder, contract, **{"jail": PlainJail(), "work": tmp_path / "work", **more}
        )
        running.append(process)
        return process

    yield start_one
    for process in running:
        await process.stop(0)
    assert list((tmp_path / "work").iterdir()) == []


async def failure_of(awaitable: Awaitable[Any]) -> PluginFailure:
    with pytest.raises(PluginFailure) as caught:
        await awaitable
    return caught.value


async def test_a_ready_instance_answers(start: Starter) -> None:
    process = await start()
    assert await process.call("numbers", "add", {"a": 2, "b": 3}, 5) == {"sum": 5}
    await process.ping()
    await process.prove_free(5)
    assert process.alive
    assert (process.in_flight, process.strays) == (0, 0)
    assert process.rss_bytes() > 1_000_000
    assert process.cpu_seconds() > 0


async def test_a_stopped_instance_is_gone_with_its_folder(start: Starter, tmp_path: Path) -> None:
    process = await start()
    await process.stop(5)
    assert not psutil.pid_exists(process.pid)
    assert not process.alive
    assert (process.rss_bytes(), process.cpu_seconds()) == (0, 0)
    failure = await failure_of(process.call("numbers", "add", {"a": 2, "b": 3}, 5))
    assert failure.kind is ErrorKind.PLUGIN_CRASH
    await process.stop(5)
    await process.ended()


# Proving ready


@pytest.mark.parametrize(
    ("offered", "difference"),
    [
        ([ADD, a_tool("more")], "numbers__more is not in the contract"),
        ([a_tool("more")], "numbers__add is missing"),
        ([a_method("add", an_object(a=INTEGER), an_object(sum=INTEGER))], "numbers__add has other schemas"),
        ([a_method("add", ADD["input_schema"], an_object(total=INTEGER))], "numbers__add has other schemas"),
    ],
)
async def test_an_offer_that_differs_from_the_contract_is_refused_with_what_differs(
    start: Starter, offered: list[dict[str, Any]], difference: str
) -> None:
    code = numbers_plugin("def add(self, a, b): return {}\ndef more(self): return {}")
    failure = await failure_of(start(a_manifest(*offered), code, a_manifest(ADD)))
    assert failure.kind is ErrorKind.UNAVAILABLE
    assert difference in failure.message


async def test_a_promised_method_that_the_code_lacks_is_told(start: Starter) -> None:
    failure = await failure_of(start(a_manifest(ADD, a_tool("missing"))))
    assert "numbers__missing is missing" in failure.message


@pytest.mark.parametrize("code", ["raise ValueError('not today')", "import os; os._exit(3)", "capabilities = 5"])
async def test_a_plugin_that_ends_at_the_start_is_told_with_its_exit_and_its_words(start: Starter, code: str) -> None:
    started = time.monotonic()
    failure = await failure_of(start(code=code))
    assert failure.kind is ErrorKind.PLUGIN_CRASH
    assert "exit code 3" in failure.message if "_exit" in code else "exit code 1" in failure.message
    assert ("not today" in str(failure.details["stderr"])) is ("not today" in code)
    assert time.monotonic() - started < 10


async def test_a_plugin_that_never_answers_at_the_start_is_given_up(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "START_SECONDS", 0.5)
    failure = await failure_of(start(code=HANDLE + ADD_CODE + "\ntime.sleep(600)"))
    assert failure.kind is ErrorKind.TIMEOUT
    assert "within 0.5 seconds" in failure.message


async def test_a_start_that_is_cancelled_leaves_nothing(start: Starter, tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    starting = asyncio.ensure_future(start(code=HANDLE + ADD_CODE + "\ntime.sleep(600)"))
    while not set(psutil.Process().children()) - before:
        await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert set(psutil.Process().children()) <= before
    assert list((tmp_path / "work").iterdir()) == []


class NoProgram:
    """A jail whose program is not there."""

    def launch(self, folder: Path, contract: object, workspace: Path) -> Launch:
        del folder, contract
        return Launch((str(workspace / "missing"),), {}, workspace, Isolation.TRUSTED)


class OtherProgram:
    """A jail that runs a program which is no plugin."""

    def __init__(self, code: str) -> None:
        self.code = code

    def launch(self, folder: Path, contract: object, workspace: Path) -> Launch:
        del folder, contract
        return Launch((sys.executable, "-I", "-S", "-c", self.code), {}, workspace, Isolation.TRUSTED)


async def test_a_program_that_is_not_there_is_told(start: Starter) -> None:
    failure = await failure_of(start(jail=NoProgram()))
    assert failure.kind is ErrorKind.UNAVAILABLE
    assert "could not be started" in failure.message


ANSWER = """
import json, sys
for line in sys.stdin:
    answer = {}
    answer |= {{'jsonrpc': '2.0', 'id': json.loads(line)['id']}}
    print(json.dumps(answer), flush=True)
"""


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"result": {}}, "does not speak"),
        ({"result": {"supportedVersions": "2026-07-28"}}, "does not speak"),
        ({"result": {"supportedVersions": ["2026-07-28"]}}, "numbers__add is missing"),
        ({"result": {"supportedVersions": ["2026-07-28"], "tools": [5, {"name": ["x"]}]}}, "numbers__add is missing"),
        ({"result": [1]}, "no result"),
        ({"error": {"code": -1, "message": "y" * 20_000}}, "y" * WORDS_LIMIT),
        ({"error": "bad"}, "no result"),
    ],
)
async def test_a_program_that_speaks_otherwise_is_refused(start: Starter, answer: dict[str, Any], told: str) -> None:
    failure = await failure_of(start(jail=OtherProgram(ANSWER.format(answer))))
    assert told in failure.message
    assert len(failure.message) < 2 * WORDS_LIMIT


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    folder = write_package(tmp_path / "plugin")
    (tmp_path / "work").write_text("in the way", encoding="utf-8")
    contract = read_package(folder).contract
    failure = await failure_of(
        PluginProcess.start(folder, contract, jail=PlainJail(), work=tmp_path / "work" / "deeper")
    )
    assert failure.kind is ErrorKind.UNAVAILABLE


# What answers mean


async def test_each_way_to_fail_has_its_kind(start: Starter) -> None:
    code = numbers_plugin(
        """
        def fail(self): raise ValueError("it went wrong")
        def ramble(self): raise ValueError("x" * 100_000)
        def odd(self): return [1]
        def leave(self): os._exit(4)
        def sleep(self): time.sleep(600)
        """,
        HANDLE,
    )
    names = ("fail", "ramble", "odd", "leave", "sleep")
    process = await start(a_manifest(*(a_tool(name) for name in names)), code)
    failure = await failure_of(process.call("numbers", "fail", {}, 5))
    assert (failure.kind, failure.message) == (ErrorKind.TOOL_ERROR, "it went wrong")
    assert len((await failure_of(process.call("numbers", "ramble", {}, 5))).message) == WORDS_LIMIT
    assert (await failure_of(process.call("numbers", "odd", {}, 5))).kind is ErrorKind.INVALID_RESULT
    assert (await failure_of(process.call("numbers", "nothing", {}, 5))).kind is ErrorKind.UNKNOWN_TOOL
    left = await failure_of(process.call("numbers", "leave", {}, 5))
    assert (left.kind, left.message) == (ErrorKind.PLUGIN_CRASH, "calculator@1.0.0 has ended with exit code 4.")
    await process.ended()


async def test_silence_is_a_timeout_and_the_plugin_is_told_to_give_up(start: Starter) -> None:
    code = numbers_plugin(
        """
        async def sleep(self):
            try:
                await asyncio.sleep(600)
            finally:
                self.told = True
        async def told(self): return {"told": self.told}
        """,
        "import asyncio",
    )
    process = await start(a_manifest(a_tool("sleep"), a_tool("told")), code)
    failure = await failure_of(process.call("numbers", "sleep", {}, 0.1))
    assert failure.kind is ErrorKind.TIMEOUT
    assert await process.call("numbers", "told", {}, 5) == {"told": True}
    assert (process.in_flight, process.strays) == (0, 0)


async def test_the_end_of_the_process_fails_all_open_calls_at_once(start: Starter) -> None:
    code = numbers_plugin("async def sleep(self): await asyncio.sleep(600)", "import asyncio")
    process = await start(a_manifest(a_tool("sleep")), code)
    calls = [asyncio.create_task(process.call("numbers", "sleep", {}, 60)) for _ in range(50)]
    await asyncio.sleep(0.05)
    assert process.in_flight == 50
    process.kill()
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert {failure.kind for failure in failures if isinstance(failure, PluginFailure)} == {ErrorKind.PLUGIN_CRASH}
    assert len(failures) == 50
    await process.ended()


# Putting down


async def test_an_instance_that_ignores_the_end_of_its_input_is_ended_by_force(start: Starter) -> None:
    code = numbers_plugin("def hang(self):\n    while True: time.sleep(600)", HANDLE)
    process = await start(a_manifest(a_tool("hang")), code)
    call = asyncio.create_task(process.call("numbers", "hang", {}, 60))
    await asyncio.sleep(0.05)
    started = time.monotonic()
    await process.stop(0.2)
    assert 0.2 <= time.monotonic() - started < 2
    assert not psutil.pid_exists(process.pid)
    assert (await failure_of(call)).kind is ErrorKind.PLUGIN_CRASH


async def test_a_process_that_is_gone_is_not_killed_again_by_its_number(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []

    class Recorder:
        def __init__(self, pid: int, limits: Limits) -> None:
            self.held = hold(pid, limits)
            self.pid = pid

        def kill(self) -> None:
            killed.append(self.pid)
            self.held.kill()

    monkeypatch.setattr(process_module, "hold", Recorder)
    process = await start()
    await process.stop(5)
    before = len(killed)
    process.kill()
    assert len(killed) == before
