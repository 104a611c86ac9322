"""What a plugin process may write, and what the house does with one that writes anything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import psutil
import pytest

from domain.calls import ErrorKind
from plugins.core.channel import LINE_LIMIT, STRAY_LIMIT, TAIL_LIMIT, WRITE_LIMIT
from plugins.core.failures import PluginFailure
from plugins.core.packages import read_package
from plugins.core.process import PluginProcess
from plugins.core.sandbox import PlainJail
from tests.plugins.factories import HANDLE, a_manifest, a_tool, numbers_plugin, write_package

HOSTILE = numbers_plugin(
    """
    def echo(self, **given): return given
    def write(self, line):
        say(line.encode("latin-1"))
        return {"written": True}
    def write_much(self, size):
        server().answers.stream.write(b"x" * size)
        server().answers.stream.flush()
        time.sleep(600)
    def write_often(self, count):
        server().answers.stream.write(b'{"jsonrpc":"2.0","id":"nobody","result":{}}\\n' * count)
        return {"written": True}
    def twice(self):
        write = server().answers.write
        server().answers.write = lambda line: (write(line), write(line))
        return {"once": True}
    def close(self):
        server().answers.stream.close()
        time.sleep(600)
    def complain(self, count):
        sys.stderr.write("complaint " * count + "the last word")
        sys.stderr.flush()
        return {}
    def sleep(self, seconds):
        time.sleep(seconds)
        return {}
    """,
    HANDLE,
)
TOOLS = ("echo", "write", "write_much", "write_often", "twice", "close", "complain", "sleep")


@pytest.fixture
async def hostile(tmp_path: Path) -> AsyncIterator[PluginProcess]:
    folder = write_package(tmp_path / "plugin", a_manifest(*(a_tool(name) for name in TOOLS)), HOSTILE)
    process = await PluginProcess.start(folder, read_package(folder).contract, jail=PlainJail(), work=tmp_path)
    yield process
    await process.stop(0)
    assert not psutil.pid_exists(process.pid)


async def failure_of(awaitable: Awaitable[Any]) -> PluginFailure:
    with pytest.raises(PluginFailure) as caught:
        await awaitable
    return caught.value


GARBAGE = {
    "text": "hello",
    "an empty line": "",
    "half a message": '{"jsonrpc":"2.0"',
    "a list": "[]",
    "another protocol": '{"jsonrpc":"1.0","id":"1","result":{}}',
    "nan": '{"jsonrpc":"2.0","id":"1","result":{"a":NaN}}',
    "infinity": '{"jsonrpc":"2.0","id":"1","result":{"a":-Infinity}}',
    "no text": "\xff\xfe\x00",
    "no end of nesting": "[" * 100_000,
}


@pytest.mark.parametrize("line", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_ends_the_process_and_fails_what_is_open(hostile: PluginProcess, line: str) -> None:
    failure = await failure_of(hostile.call("numbers", "write", {"line": line}, 20))
    assert failure.kind is ErrorKind.PLUGIN_CRASH
    assert "not a JSON-RPC message" in failure.message
    assert not hostile.alive
    await asyncio.wait_for(hostile.ended(), 5)


@pytest.mark.parametrize(
    "identifier",
    ['"nobody"', "1", "true", "null", "[]", '{"a":1}'],
    ids=["text", "number", "true", "null", "list", "object"],
)
async def test_an_answer_that_nobody_waits_for_is_counted_and_dropped(hostile: PluginProcess, identifier: str) -> None:
    line = f'{{"jsonrpc":"2.0","id":{identifier},"result":{{"structuredContent":{{"fake":true}}}}}}'
    assert await hostile.call("numbers", "write", {"line": line}, 20) == {"written": True}
    assert hostile.strays == 1
    assert hostile.alive


async def test_a_request_from_the_plugin_is_not_taken_for_an_answer(hostile: PluginProcess) -> None:
    line = '{"jsonrpc":"2.0","method":"notifications/message","params":{}}'
    assert await hostile.call("numbers", "write", {"line": line}, 20) == {"written": True}
    assert hostile.strays == 1


async def test_only_the_first_of_two_answers_counts(hostile: PluginProcess) -> None:
    assert await hostile.call("numbers", "twice", {}, 20) == {"once": True}
    for number in range(10):
        assert await hostile.call("numbers", "echo", {"number": number}, 20) == {"number": number}
    await hostile.ping()
    assert hostile.strays >= 10


async def test_a_flood_of_answers_ends_the_process(hostile: PluginProcess) -> None:
    failure = await failure_of(hostile.call("numbers", "write_often", {"count": STRAY_LIMIT + 1}, 20))
    assert "nobody waited for" in failure.message
    await asyncio.wait_for(hostile.ended(), 5)


async def test_a_line_without_end_ends_the_process(hostile: PluginProcess) -> None:
    failure = await failure_of(hostile.call("numbers", "write_much", {"size": LINE_LIMIT + 2}, 20))
    assert failure.kind is ErrorKind.PLUGIN_CRASH
    assert f"more than {LINE_LIMIT} bytes" in failure.message


async def test_a_long_answer_comes_through_whole(hostile: PluginProcess) -> None:
    text = "ä" * (LINE_LIMIT // 16)
    assert await hostile.call("numbers", "echo", {"text": text}, 20) == {"text": text}


async def test_a_process_that_goes_on_without_its_answer_channel_is_ended(hostile: PluginProcess) -> None:
    failure = await failure_of(hostile.call("numbers", "close", {}, 20))
    assert (failure.kind, "closed its answer channel" in failure.message) == (ErrorKind.PLUGIN_CRASH, True)
    await asyncio.wait_for(hostile.ended(), 5)


async def test_of_what_is_printed_only_the_last_is_remembered(hostile: PluginProcess) -> None:
    await hostile.call("numbers", "complain", {"count": 100_000}, 20)
    await hostile.stop(5)
    assert hostile.stderr_tail.endswith("the last word")
    assert len(hostile.stderr_tail) == TAIL_LIMIT


async def test_a_late_answer_is_dropped_and_does_not_answer_another_call(hostile: PluginProcess) -> None:
    failure = await failure_of(hostile.call("numbers", "sleep", {"seconds": 0.3}, 0.05))
    assert failure.kind is ErrorKind.TIMEOUT
    assert await hostile.call("numbers", "echo", {"mine": 1}, 20) == {"mine": 1}
    assert hostile.strays == 1


# What is sent


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"bytes"])
async def test_what_is_not_json_is_not_sent(hostile: PluginProcess, value: Any) -> None:
    failure = await failure_of(hostile.call("numbers", "echo", {"value": value}, 20))
    assert failure.kind is ErrorKind.INVALID_ARGUMENTS
    assert await hostile.call("numbers", "echo", {"value": 1}, 20) == {"value": 1}


async def test_a_request_longer_than_a_line_may_be_is_not_sent(hostile: PluginProcess) -> None:
    failure = await failure_of(hostile.call("numbers", "echo", {"text": "x" * LINE_LIMIT}, 20))
    assert failure.kind is ErrorKind.INVALID_ARGUMENTS


@pytest.mark.parametrize("value", ["", "\x00\n\r\u2028\U0001f600", 2**53, -1.5e-300, None, [[]], {"": {}}])
async def test_what_is_json_arrives_unchanged(hostile: PluginProcess, value: Any) -> None:
    assert await hostile.call("numbers", "echo", {"value": value}, 20) == {"value": value}


async def test_a_plugin_that_never_reads_is_not_written_to_without_end(hostile: PluginProcess) -> None:
    psutil.Process(hostile.pid).suspend()
    text = "x" * (LINE_LIMIT // 2)
    calls = [asyncio.create_task(hostile.call("numbers", "echo", {"text": text}, 1)) for _ in range(12)]
    failures = [await failure_of(call) for call in calls]
    kinds = [failure.kind for failure in failures]
    assert set(kinds) == {ErrorKind.TIMEOUT, ErrorKind.UNAVAILABLE}
    assert kinds.count(ErrorKind.TIMEOUT) <= WRITE_LIMIT // len(text) + 2
    assert "does not read" in next(one.message for one in failures if one.kind is ErrorKind.UNAVAILABLE)
    assert hostile.in_flight == 0


async def test_giving_up_on_a_plugin_that_never_reads_stays_giving_up(hostile: PluginProcess) -> None:
    psutil.Process(hostile.pid).suspend()
    text = "x" * (LINE_LIMIT - 1_000)
    calls = [asyncio.create_task(hostile.call("numbers", "echo", {"text": text}, 20)) for _ in range(3)]
    await asyncio.sleep(0.2)
    for call in calls:
        call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 3


async def test_an_end_from_outside_is_told_with_its_exit_code(hostile: PluginProcess) -> None:
    call = asyncio.create_task(hostile.call("numbers", "sleep", {"seconds": 600}, 20))
    await asyncio.sleep(0.05)
    psutil.Process(hostile.pid).kill()
    failure = await failure_of(call)
    assert failure.kind is ErrorKind.PLUGIN_CRASH
    assert "has ended with exit code" in failure.message
