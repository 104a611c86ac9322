"""How a plugin's process shows that it lives, gives calls up, and ends."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from domain.isolation import Isolation
from plugins.core.isolation import FOR_PROCESSES, this_machine
from plugins.core.runtime import LAST_WORDS_SECONDS
from tests.plugins.factories import a_manifest, a_tool, numbers_plugin, write_package
from tests.plugins.pipes import a_plugin, running


async def test_a_ping_is_answered_while_a_method_runs(tmp_path: Path) -> None:
    body = "def slow(self):\n    time.sleep(1)\n    return {}"
    async with running(a_plugin(tmp_path / "plugin", body, "slow", head="import time")) as pipe:
        pipe.tool("1", "slow")
        pipe.request("2", "ping")
        assert (await pipe.answer())["id"] == "2"
        assert (await pipe.answer())["id"] == "1"


async def test_a_blocked_loop_does_not_say_it_is_free(tmp_path: Path) -> None:
    body = "async def block(self):\n    print('begun', flush=True)\n    time.sleep(0.5)\n    return {}"
    async with running(a_plugin(tmp_path / "plugin", body, "block", head="import time")) as pipe:
        pipe.tool("1", "block")
        assert (await pipe.errors.readline()).strip() == b"begun"
        pipe.request("2", "tools/list")
        assert [(await pipe.answer())["id"] for _ in range(2)] == ["1", "2"]


async def test_a_call_given_up_is_not_answered(tmp_path: Path) -> None:
    body = """
    def slow(self):
        time.sleep(0.2)
        return {}
    async def forever(self):
        await asyncio.sleep(600)
    """
    head = "import asyncio, time"
    async with running(a_plugin(tmp_path / "plugin", body, "slow", "forever", head=head)) as pipe:
        pipe.tool("coroutine", "forever")
        pipe.tool("runs", "slow")
        pipe.tool("waits", "slow")
        await asyncio.sleep(0.05)
        for identifier in ("coroutine", "waits"):
            cancelled = {"method": "notifications/cancelled", "params": {"requestId": identifier}}
            pipe.send(json.dumps({"jsonrpc": "2.0", **cancelled}).encode())
        pipe.tool("last", "slow")
        assert [(await pipe.answer())["id"] for _ in range(2)] == ["runs", "last"]


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_hooks_run_around_the_plugins_life(tmp_path: Path, kind: str) -> None:
    head = f"""
import sys
seen = []
{kind} begin():
    seen.append("begin")
{kind} finish():
    sys.stderr.write("finished")
"""
    hooks = {"on_start": "begin", "on_stop": "finish"}
    body = "def look(self): return {'seen': seen}"
    async with running(a_plugin(tmp_path / "plugin", body, "look", head=head, lifecycle_hooks=hooks)) as pipe:
        pipe.tool("1", "look")
        assert (await pipe.result())["structuredContent"] == {"seen": ["begin"]}
        pipe.requests.close()
        assert "finished" in (await pipe.errors.read()).decode()
        assert await pipe.process.wait() == 0


async def test_the_end_of_input_lets_running_calls_finish(tmp_path: Path) -> None:
    body = """
    def now(self):
        time.sleep(0.2)
        return {}
    async def later(self):
        await asyncio.sleep(0.2)
        return {}
    """
    async with running(a_plugin(tmp_path / "plugin", body, "now", "later", head="import asyncio, time")) as pipe:
        pipe.tool("1", "later")
        pipe.tool("2", "now")
        pipe.requests.close()
        assert {(await pipe.answer())["id"] for _ in range(2)} == {"1", "2"}
        assert await pipe.process.wait() == 0


async def test_the_end_of_input_ends_even_a_plugin_that_will_not(tmp_path: Path) -> None:
    body = "def hang(self):\n    while True: time.sleep(600)"
    head = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()"
    async with running(a_plugin(tmp_path / "plugin", body, "hang", head=head)) as pipe:
        pipe.tool("1", "hang")
        pipe.requests.close()
        started = time.monotonic()
        assert await asyncio.wait_for(pipe.process.wait(), LAST_WORDS_SECONDS + 10) == 0
        assert time.monotonic() - started >= LAST_WORDS_SECONDS - 1


@pytest.mark.parametrize("code", ["raise ValueError('not today')", "import sys; sys.exit(7)", "syntax error", ""])
async def test_code_that_cannot_be_used_ends_the_process_at_once_and_tells_why(tmp_path: Path, code: str) -> None:
    thread = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
    folder = write_package(tmp_path / "plugin", code="" if code == "syntax error" else thread + code)
    if code == "syntax error":
        (folder / "plugin.py").write_text(code, encoding="utf-8")
    async with running(folder) as pipe:
        pipe.request("1", "ping")
        assert await asyncio.wait_for(pipe.process.wait(), 20) == 1
        assert "Traceback" in (told := (await pipe.errors.read()).decode()) or "SyntaxError" in told


HOST = """
import asyncio, sys
from pathlib import Path
from domain.routing import PluginVersion
from plugins.core.host import PluginHost
from plugins.core.packages import PackageStore
from plugins.core.isolation import this_machine
from domain.isolation import Isolation

async def main():
    store = PackageStore(Path(sys.argv[1]))
    version = PluginVersion.model_validate_json(sys.argv[2])
    await PluginHost(store, jail=this_machine().jail(Isolation(sys.argv[3]))).load(version)
    print("ready", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("tier", FOR_PROCESSES)
async def test_a_plugin_ends_when_its_host_is_killed(packages: Any, add: Any, tier: Isolation) -> None:
    if not (offer := this_machine().offer(tier)).available:
        pytest.skip(f"{offer.reason} {offer.fix}")
    body = "def add(self): return {}"
    version = add(a_manifest(a_tool("add"), resource_requirements={"instances": 2, "spares": 0}), numbers_plugin(body))
    program = [sys.executable, "-c", HOST, str(packages.root), version.model_dump_json(), tier]
    root = Path(__file__).resolve().parents[2]
    host = await asyncio.create_subprocess_exec(*program, stdout=subprocess.PIPE, cwd=root)
    assert host.stdout is not None
    assert (await asyncio.wait_for(host.stdout.readline(), 30)).strip() == b"ready"
    plugins = psutil.Process(host.pid).children(recursive=True)
    assert len(plugins) == (4 if tier is Isolation.SANDBOX else 2)
    host.kill()
    await host.communicate()
    deadline = time.monotonic() + LAST_WORDS_SECONDS + 5
    while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in plugins):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
