"""What a plugin in the tier wasm can do, and what it cannot, judged from outside the cell."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from domain.calls import ErrorKind
from plugins.core.failures import PluginFailure
from plugins.core.packages import read_package
from plugins.core.process import PluginProcess
from plugins.core.wasm.jail import WasmJail
from tests.plugins.factories import a_manifest, a_tool, numbers_plugin, write_package

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CODE = numbers_plugin(
    """
    def add(self, a, b):
        return {"sum": a + b}
    def try_to(self, code):
        names = dict(globals())
        try:
            exec(code, names)
        except BaseException as error:
            return {"error": f"{type(error).__name__}: {error}"}
        return {"out": repr(names.get("out"))}
    async def pause(self, seconds):
        import asyncio
        await asyncio.gather(asyncio.sleep(seconds), asyncio.sleep(seconds))
        return {"paused": seconds}
    def nap(self, seconds):
        time.sleep(seconds)
        return {}
    def spin(self):
        while True:
            pass
    def note(self, value):
        notes.append(value)
        return {"notes": notes}
    def end(self, how):
        exec(how)
        return {}
    """,
    """
    import os, random, sys, time
    from pathlib import Path
    notes = []
    DATA = (Path(__file__).parent / "data.txt").read_text()
    def started():
        notes.append("started")
    """,
)
TOOLS = ("add", "try_to", "pause", "nap", "spin", "note", "end")

Starter = Callable[..., Awaitable[PluginProcess]]


@pytest.fixture
async def start(tmp_path: Path, wasm_jail: WasmJail) -> AsyncIterator[Starter]:
    running: list[PluginProcess] = []

    async def start_one(code: str = CODE, *tools: str, **more: Any) -> PluginProcess:
        hooks = {"lifecycle_hooks": {"on_start": "started"}} if code == CODE else {}
        manifest = a_manifest(*(a_tool(name) for name in tools or TOOLS), **hooks, **more)
        folder = write_package(tmp_path / "plugin", manifest, code)
        (folder / "data.txt").write_text("of the package", encoding="utf-8")
        process = await PluginProcess.start(
            folder, read_package(folder).contract, jail=wasm_jail, work=tmp_path / "work"
        )
        running.append(process)
        return process

    yield start_one
    for process in running:
        await process.stop(0)


async def call(process: PluginProcess, method: str, limit: float = 30, /, **arguments: Any) -> dict[str, Any]:
    return await process.call("numbers", method, arguments, limit)


async def failure_of(awaitable: Awaitable[Any]) -> PluginFailure:
    with pytest.raises(PluginFailure) as caught:
        await awaitable
    return caught.value


# What it can do


LIBRARY = """
import datetime, decimal, hashlib, re, sqlite3, statistics, unicodedata, zlib, xml.etree.ElementTree
out = datetime.datetime.strptime('2020-02-29', '%Y-%m-%d').isoformat()
"""
CAN = {
    "reckon": ("out = 2 + 3", "5"),
    "read its own package": ("out = DATA", "'of the package'"),
    "list its own package": ("out = sorted(os.listdir(os.path.dirname(__file__)))[0]", "'data.txt'"),
    "use the standard library": (LIBRARY, "'2020-02-29T00:00:00'"),
    "read the time": (f"out = time.time() > {time.time() - 1}", "True"),
    "draw numbers": ("import secrets, uuid; out = len(secrets.token_hex(8)) + len(str(uuid.uuid4()))", "52"),
    "encode": ("out = 'é'.encode('latin-1') + 'é'.encode('utf-16-le')", repr(b"\xe9\xe9\x00")),
}


@pytest.mark.parametrize(("code", "out"), CAN.values(), ids=CAN.keys())
async def test_it_can(start: Starter, code: str, out: str) -> None:
    assert await call(await start(), "try_to", code=code) == {"out": out}


async def test_two_cells_draw_different_numbers(start: Starter) -> None:
    code = "out = (random.random(), os.urandom(8), hash(random.random()))"
    one, other = await start(), await start()
    assert await call(one, "try_to", code=code) != await call(other, "try_to", code=code)


async def test_it_keeps_what_it_remembers_from_call_to_call(start: Starter) -> None:
    process = await start()
    await call(process, "note", value=1)
    assert await call(process, "note", value=2) == {"notes": ["started", 1, 2]}


async def test_coroutines_wait_for_one_another(start: Starter) -> None:
    started = time.monotonic()
    assert await call(await start(), "pause", seconds=0.2) == {"paused": 0.2}
    assert time.monotonic() - started < 5


async def test_what_it_prints_goes_to_stderr(start: Starter) -> None:
    process = await start()
    await call(process, "try_to", code="print('to whom it may concern'); sys.stdout.flush()")
    assert await call(process, "add", a=2, b=3) == {"sum": 5}
    async with asyncio.timeout(5):
        while "to whom it may concern" not in process.stderr_tail:
            await asyncio.sleep(0.01)


# What it cannot do; in every one of these cells the control `add` answers afterwards


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text("the secret", encoding="utf-8")
    return path


CANNOT_TOUCH_FILES = {
    "read a file": "out = open({secret!r}).read()",
    "read one by way of its package": "out = open(os.path.dirname(__file__) + '/../secret.txt').read()",
    "read one by a link": "os.symlink({secret!r}, os.path.dirname(__file__) + '/link')",
    "list a folder": "out = os.listdir({folder!r})",
    "list the root": "out = os.listdir('/')",
    "write a file": "open({folder!r} + '/written', 'w').write('x')",
    "write into its package": "open(os.path.dirname(__file__) + '/written', 'w').write('x')",
    "change its package": "open(__file__, 'a').write('x')",
    "remove from its package": "os.unlink(os.path.dirname(__file__) + '/data.txt')",
    "rename in its package": "os.rename(os.path.dirname(__file__) + '/data.txt', os.path.dirname(__file__) + '/d')",
    "make a folder": "os.mkdir(os.path.dirname(__file__) + '/made')",
    "make a temporary file": "import tempfile; tempfile.mkstemp()",
    "read what the kernel tells": "out = open('/proc/self/maps').read()",
}


@pytest.mark.parametrize("code", CANNOT_TOUCH_FILES.values(), ids=CANNOT_TOUCH_FILES.keys())
async def test_it_cannot_touch_files(start: Starter, secret: Path, tmp_path: Path, code: str) -> None:
    process = await start()
    before = everything_in(tmp_path)
    answer = await call(process, "try_to", code=code.format(secret=str(secret), folder=str(tmp_path)))
    assert "Error" in answer["error"]
    assert everything_in(tmp_path) == before
    assert await call(process, "add", a=2, b=3) == {"sum": 5}


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_it_sees_no_environment(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_SECRET", "the secret")
    assert await call(await start(), "try_to", code="out = dict(os.environ)") == {"out": "{}"}


async def test_it_reaches_nobody_on_the_network(start: Starter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        process = await start()
        reached = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
        assert "rror" in (await call(process, "try_to", code=reached))["error"]
        with pytest.raises(TimeoutError):
            server.accept()
    for code in (
        "import socket; socket.create_server(('127.0.0.1', 0))",
        "import socket; socket.getaddrinfo('localhost', 80)",
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('127.0.0.1', 9))",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')",
    ):
        assert "rror" in (await call(process, "try_to", code=code))["error"], code
    assert await call(process, "add", a=2, b=3) == {"sum": 5}


async def test_it_starts_no_process_and_no_thread(start: Starter, tmp_path: Path) -> None:
    process = await start()
    for code in (
        f"import subprocess; subprocess.run(['touch', {str(tmp_path / 'touched')!r}])",
        "os.system('true')",
        "os.fork()",
        "os.execv('/bin/true', ['true'])",
        "import multiprocessing; multiprocessing.Process(target=print).start()",
        "import threading; threading.Thread(target=print).start()",
    ):
        assert "Error" in (await call(process, "try_to", code=code))["error"], code
    assert psutil.Process(process.pid).children() == []
    assert not (tmp_path / "touched").exists()
    assert await call(process, "add", a=2, b=3) == {"sum": 5}


async def test_it_has_no_native_code_and_no_signal_to_send(start: Starter) -> None:
    process = await start()
    for code in (
        "import ctypes",
        "import mmap",
        "import fcntl",
        f"os.kill({os.getpid()}, 9)",
        "os.abort.__self__.kill",
    ):
        assert "Error" in (await call(process, "try_to", code=code))["error"], code
    assert await call(process, "add", a=2, b=3) == {"sum": 5}


async def test_it_finds_nothing_of_the_houses(start: Starter) -> None:
    process = await start()
    code = "out = sorted(name for name in sys.modules if name.partition('.')[0] in {'plugins', 'domain', 'wasmtime'})"
    assert await call(process, "try_to", code=code) == {"out": "[]"}


@pytest.mark.parametrize("bomb", ["'x' * 10**9", "[bytearray(10**6) for _ in range(10**4)]", "bytearray(2**31 - 1)"])
async def test_memory_is_bounded_by_the_contract(start: Starter, bomb: str) -> None:
    process = await start(resource_requirements={"memory_mb": 64})
    before = process.rss_bytes()
    assert "MemoryError" in (await call(process, "try_to", code=f"out = len({bomb})"))["error"]
    assert process.rss_bytes() - before < 80 << 20
    assert await call(process, "add", a=2, b=3) == {"sum": 5}


async def test_more_memory_is_there_for_who_asks_for_it(start: Starter) -> None:
    code = "out = len(bytearray(150_000_000))"
    assert "error" in await call(await start(resource_requirements={"memory_mb": 64}), "try_to", code=code)
    assert await call(await start(resource_requirements={"memory_mb": 256}), "try_to", code=code) == {
        "out": "150000000"
    }


@pytest.mark.parametrize(
    ("method", "arguments"), [("spin", {}), ("nap", {"seconds": 600}), ("pause", {"seconds": 600})]
)
async def test_a_call_that_is_given_up_is_interrupted_and_the_next_one_answered(
    start: Starter, method: str, arguments: dict[str, Any]
) -> None:
    process = await start()
    await call(process, "note", value="before")
    failure = await failure_of(call(process, method, 0.3, **arguments))
    assert failure.kind is ErrorKind.TIMEOUT
    started = time.monotonic()
    assert await call(process, "add", a=2, b=3) == {"sum": 5}
    assert time.monotonic() - started < 2
    assert process.alive
    assert await call(process, "note", value="after") == {"notes": ["started", "after"]}


async def test_a_call_that_waits_is_taken_back_without_disturbing_the_one_that_runs(start: Starter) -> None:
    process = await start()
    running = asyncio.create_task(call(process, "nap", seconds=0.5))
    await asyncio.sleep(0.1)
    assert (await failure_of(call(process, "spin", 0.1))).kind is ErrorKind.TIMEOUT
    assert await running == {}
    assert await call(process, "add", a=2, b=3) == {"sum": 5}


async def test_it_says_that_it_lives_while_a_method_runs(start: Starter) -> None:
    process = await start()
    running = asyncio.create_task(failure_of(call(process, "spin", 1)))
    await asyncio.sleep(0.1)
    await process.ping()
    await running


@pytest.mark.parametrize("how", ["os._exit(3)", "os.abort()"])
async def test_what_stops_the_cell_ends_the_process(start: Starter, how: str) -> None:
    process = await start()
    failure = await failure_of(call(process, "end", how=how))
    assert failure.kind is ErrorKind.PLUGIN_CRASH
    await asyncio.wait_for(process.ended(), 5)
    assert "The cell was stopped" in process.stderr_tail


async def test_endless_recursion_is_an_error_of_the_method(start: Starter) -> None:
    process = await start()
    assert "RecursionError" in (await call(process, "try_to", code="def f(): f()\nf()"))["error"]
    assert await call(process, "add", a=2, b=3) == {"sum": 5}


async def test_a_kill_leaves_nothing(start: Starter) -> None:
    process = await start()
    running = asyncio.create_task(failure_of(call(process, "spin", 20)))
    await asyncio.sleep(0.1)
    process.kill()
    assert (await running).kind is ErrorKind.PLUGIN_CRASH
    await asyncio.wait_for(process.ended(), 5)
    assert not psutil.pid_exists(process.pid)


# What is refused at the start


async def test_a_plugin_that_cannot_be_imported_says_why(start: Starter) -> None:
    failure = await failure_of(start("import numpy\n", "add"))
    assert "No module named 'numpy'" in str(failure.details["stderr"])


async def test_compiled_code_is_refused_by_its_name(start: Starter, tmp_path: Path) -> None:
    for name in ("_speedups.cpython-311-x86_64-linux-gnu.so", "fast.pyd"):
        path = tmp_path / "plugin" / "_site" / "lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        failure = await failure_of(start())
        assert f"compiled code, which does not run in the tier wasm: _site/lib/{name}" in failure.message
        path.unlink()
