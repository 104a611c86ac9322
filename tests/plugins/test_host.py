"""How calls end when instances die, and how versions come and go: real processes, really killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from domain.calls import ErrorKind
from domain.errors import PluginRegistrationFailed
from domain.plugins import LifecycleEvent, LoadedVersion, PluginEvent, PluginState
from domain.routing import PluginVersion
from plugins.core.failures import PluginFailure
from plugins.core.host import PluginHost
from plugins.core.packages import PackageStore
from plugins.core.rounds import Turn
from plugins.core.sandbox import PlainJail
from tests.plugins.conftest import Adder
from tests.plugins.factories import ADD, a_manifest, a_tool, an_unsafe_tool, numbers_plugin

SLOW = numbers_plugin(
    """
    def once(self, **given):
        import os, time
        with open(given["file"], "a") as file:
            file.write(f"{os.getpid()}\\n")
        time.sleep(given["seconds"])
        return {"pid": os.getpid()}

    def again(self, **given):
        return self.once(**given)

    def look(self, **given):
        return self.once(**given)

    def pid(self):
        import os
        return {"pid": os.getpid()}
    """
)
SLOW_TOOLS = (
    an_unsafe_tool("once"),
    a_tool("again", side_effects="idempotent"),
    a_tool("look"),
    a_tool("pid"),
)


def slow_manifest(**resources: Any) -> dict[str, Any]:
    return a_manifest(*SLOW_TOOLS, resource_requirements={"memory_mb": 64, **resources})


def kill(pid: int) -> None:
    """End a process as a machine in trouble does."""
    if sys.platform == "win32":
        os.kill(pid, signal.SIGTERM)
    else:
        os.kill(pid, signal.SIGKILL)


async def eventually(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def failure_of(awaitable: Awaitable[Any]) -> PluginFailure:
    with pytest.raises(PluginFailure) as caught:
        await awaitable
    return caught.value


def standing(host: PluginHost) -> LoadedVersion:
    (loaded,) = host.loaded()
    return loaded


async def killed_in_mid_call(host: PluginHost, version: PluginVersion, method: str, file: Path) -> asyncio.Task[Any]:
    """Start a long call, wait until the plugin has begun, and kill the process that serves it."""
    call = asyncio.create_task(
        host.call(version, "numbers", method, {"file": str(file), "seconds": 1.0 if method != "once" else 60})
    )
    await eventually(lambda: file.exists() and file.read_text().endswith("\n"))
    kill(int(file.read_text()))
    return call


@pytest.mark.parametrize("method", ["look", "again"])
async def test_a_call_that_may_be_made_twice_is_answered_by_another_instance(
    host: PluginHost, add: Adder, tmp_path: Path, method: str
) -> None:
    version = add(slow_manifest(), SLOW)
    await host.load(version)
    file = tmp_path / "seen"
    call = await killed_in_mid_call(host, version, method, file)
    answer = await call
    first, second = map(int, file.read_text().split())
    assert first != second
    assert answer == {"pid": second}


async def test_a_call_with_side_effects_is_made_once_and_its_outcome_is_said_to_be_unknown(
    host: PluginHost, add: Adder, tmp_path: Path
) -> None:
    version = add(slow_manifest(), SLOW)
    await host.load(version)
    file = tmp_path / "seen"
    call = await killed_in_mid_call(host, version, "once", file)
    failure = await failure_of(call)
    assert failure.kind is ErrorKind.OUTCOME_UNKNOWN
    assert "may or may not" in failure.message
    assert len(file.read_text().split()) == 1
    assert (await host.call(version, "numbers", "pid", {}))["pid"] != int(file.read_text())


async def test_a_call_in_the_moment_of_a_death_waits_for_the_next_instance(host: PluginHost, add: Adder) -> None:
    version = add(slow_manifest(instances=1, spares=0), SLOW)
    await host.load(version)
    before = (await host.call(version, "numbers", "pid", {}))["pid"]
    (instance,) = host._running[version.digest].pool.instances
    transport = instance.process._channel._transport
    assert transport is not None
    requests = transport.get_pipe_transport(0)
    assert isinstance(requests, asyncio.WriteTransport)
    requests.abort()  # as a write to a process just killed leaves it; the loop tells nobody before its next round
    assert (await host.call(version, "numbers", "pid", {}))["pid"] != before


async def test_a_call_that_kills_two_instances_is_not_tried_a_third_time(host: PluginHost, add: Adder) -> None:
    version = add(
        a_manifest(a_tool("die"), a_tool("die_again", side_effects="idempotent")),
        numbers_plugin(
            """
            def die(self):
                import os
                os._exit(3)

            def die_again(self):
                import os
                os._exit(3)
            """
        ),
    )
    await host.load(version)
    assert (await failure_of(host.call(version, "numbers", "die", {}))).kind is ErrorKind.PLUGIN_CRASH
    failure = await failure_of(host.call(version, "numbers", "die_again", {}))
    assert failure.kind is ErrorKind.OUTCOME_UNKNOWN


async def test_a_warm_spare_takes_the_place_of_an_instance_that_dies(host: PluginHost, add: Adder) -> None:
    version = add(slow_manifest(spares=1), SLOW)
    await host.load(version)
    await eventually(lambda: standing(host).spares == 1)
    before = (await host.call(version, "numbers", "pid", {}))["pid"]
    children = {child.pid for child in psutil.Process().children()}
    assert isinstance(before, int)
    kill(before)
    clock = asyncio.get_running_loop().time
    started = clock()
    after = (await host.call(version, "numbers", "pid", {}))["pid"]
    assert clock() - started < 0.5
    assert after != before
    assert after in children, "the spare had been started before the death"
    await eventually(lambda: standing(host).spares == 1)
    assert (standing(host).instances, standing(host).restarts) == (1, 1)


async def test_a_version_without_spares_starts_again_after_a_while(host: PluginHost, add: Adder) -> None:
    version = add(slow_manifest(spares=0), SLOW)
    await host.load(version)
    before = (await host.call(version, "numbers", "pid", {}))["pid"]
    assert isinstance(before, int)
    kill(before)
    assert (await host.call(version, "numbers", "pid", {}))["pid"] != before
    assert standing(host).spares == 0


async def test_five_crashes_in_a_row_put_a_version_into_quarantine(packages: PackageStore, add: Adder) -> None:
    told: list[PluginEvent] = []
    quarantined: list[LoadedVersion] = []
    host = PluginHost(packages, jail=PlainJail(), told=told.append, quarantined=quarantined.append)
    code = numbers_plugin("def die(self):\n    import os\n    os._exit(3)")
    version = add(a_manifest(an_unsafe_tool("die")), code)
    try:
        await host.load(version)
        for _ in range(5):
            await eventually(lambda: standing(host).instances == 1 or bool(quarantined))
            failure = await failure_of(host.call(version, "numbers", "die", {}))
            assert failure.kind is ErrorKind.OUTCOME_UNKNOWN
        await eventually(lambda: bool(quarantined))
        assert standing(host).state is PluginState.QUARANTINED
        refused = await failure_of(host.call(version, "numbers", "die", {}))
        assert refused.kind is ErrorKind.UNAVAILABLE
        assert "5 crashes in a row" in refused.message
        assert told[-1].event is LifecycleEvent.QUARANTINED
        assert "5 crashes" in told[-1].reason
        await eventually(lambda: standing(host).spares == 0)
    finally:
        await host.close()


async def test_a_version_that_only_gives_nonsense_is_left_alone_and_tried_again(
    packages: PackageStore, add: Adder
) -> None:
    told: list[PluginEvent] = []
    host = PluginHost(packages, jail=PlainJail(), told=told.append)
    code = numbers_plugin("def add(self, a, b):\n    return {'sum': a + b} if a == 7 else {'wrong': 1}")
    version = add(a_manifest({**ADD, "examples": []}), code)
    try:
        await host.load(version)
        kinds = [(await failure_of(host.call(version, "numbers", "add", {"a": 1, "b": 1}))).kind for _ in range(12)]
        assert kinds == [ErrorKind.INVALID_RESULT] * 10 + [ErrorKind.UNAVAILABLE] * 2
        await asyncio.sleep(1.1)
        assert await host.call(version, "numbers", "add", {"a": 7, "b": 1}) == {"sum": 8}
        assert await host.call(version, "numbers", "add", {"a": 7, "b": 2}) == {"sum": 9}
        assert [event.event for event in told][-2:] == [LifecycleEvent.CIRCUIT_OPENED, LifecycleEvent.CIRCUIT_CLOSED]
    finally:
        await host.close()


HOOKED = """
from pathlib import Path

DIARY = Path({diary!r})

def write(line):
    with DIARY.open("a") as file:
        file.write(line + " ")

def started():
    write("start")

async def warmed():
    write("warm")

def draining():
    write("drain")
    {drain}

def stopped():
    write("stop")

def uninstalled():
    write("uninstall")

class Numbers:
    def add(self, a, b):
        write("call")
        return {{"sum": a + b}}

capabilities = {{"numbers": Numbers()}}
"""
HOOKS = {
    "on_start": "started",
    "on_warm_up": "warmed",
    "on_drain": "draining",
    "on_stop": "stopped",
    "on_uninstall": "uninstalled",
}


def hooked(diary: Path, **more: Any) -> tuple[dict[str, Any], str]:
    manifest = a_manifest(
        {**ADD, "examples": []},
        resource_requirements={"spares": 0},
        lifecycle_hooks={**HOOKS, **more.pop("limits", {})},
    )
    return manifest, HOOKED.format(diary=str(diary), drain=more.get("drain", "pass"))


async def test_hooks_run_around_a_versions_life_in_order(packages: PackageStore, add: Adder, tmp_path: Path) -> None:
    told: list[PluginEvent] = []
    host = PluginHost(packages, jail=PlainJail(), told=told.append)
    diary = tmp_path / "diary"
    version = add(*hooked(diary))
    await host.load(version)
    assert diary.read_text() == "start warm "
    await host.call(version, "numbers", "add", {"a": 1, "b": 1})
    await host.uninstall(version, drain_seconds=5)
    assert diary.read_text() == "start warm call drain stop start uninstall stop "
    assert [event.event for event in told] == [
        LifecycleEvent.LOADED,
        LifecycleEvent.SERVING,
        LifecycleEvent.DRAINING,
        LifecycleEvent.STOPPED,
        LifecycleEvent.UNINSTALLED,
    ]
    assert host.loaded() == []


async def test_a_hook_that_takes_too_long_is_told_of_and_holds_nothing_up(
    packages: PackageStore, add: Adder, tmp_path: Path
) -> None:
    told: list[PluginEvent] = []
    host = PluginHost(packages, jail=PlainJail(), told=told.append)
    version = add(*hooked(tmp_path / "diary", limits={"time_limit_seconds": 1.5}, drain="import time; time.sleep(60)"))
    await host.load(version)
    await host.unload(version.digest, drain_seconds=10)
    (failed,) = [event for event in told if event.event is LifecycleEvent.HOOK_FAILED]
    assert "on_drain" in failed.reason
    assert "within 1.5 seconds" in failed.reason
    assert host.loaded() == []


@pytest.mark.parametrize("hook", ["started", "warmed"])
async def test_a_version_whose_start_or_warm_up_fails_does_not_come_up(
    packages: PackageStore, add: Adder, tmp_path: Path, hook: str
) -> None:
    told: list[PluginEvent] = []
    host = PluginHost(packages, jail=PlainJail(), told=told.append)
    manifest, code = hooked(tmp_path / "diary")
    version = add(manifest, code.replace(f'def {hook}():\n    write("', f'def {hook}():\n    1 / 0\n    write("'))
    with pytest.raises(PluginRegistrationFailed):
        await host.load(version)
    assert [event.event for event in told] == [LifecycleEvent.STOPPED, LifecycleEvent.FAILED]


async def test_an_idle_instance_that_stays_sick_is_replaced(host: PluginHost, add: Adder) -> None:
    code = numbers_plugin(
        """
        def pid(self):
            import os
            return {"pid": os.getpid(), "sick": SICK}

        def check(self):
            if SICK:
                raise RuntimeError("sick")
            return {}

        def sicken(self):
            SICK.append(1)
            return {}
        """,
        head="SICK = []",
    )
    manifest = a_manifest(
        a_tool("pid"),
        a_tool("check"),
        an_unsafe_tool("sicken"),
        health_check={"capability": "numbers", "method": "check", "every_seconds": 0.05, "failures": 3},
    )
    version = add(manifest, code)
    await host.load(version)
    before = await host.call(version, "numbers", "pid", {})
    await host.call(version, "numbers", "sicken", {})
    await eventually(lambda: standing(host).restarts == 1)
    after = await host.call(version, "numbers", "pid", {})
    assert after["pid"] != before["pid"]
    assert after["sick"] == []


async def test_a_method_may_say_how_far_it_is(host: PluginHost, add: Adder) -> None:
    code = numbers_plugin(
        """
        def count(self, *, to, progress):
            for number in range(to):
                progress(number + 1, total=to, message=f"{number + 1} done")
            return {"counted": to}

        async def quiet(self, progress=None):
            return {"progress": progress}
        """
    )
    version = add(a_manifest(a_tool("count"), a_tool("quiet")), code)
    await host.load(version)
    seen: list[Any] = []
    answer = await host.call(version, "numbers", "count", {"to": 3}, turn=Turn(seen.append))
    assert answer == {"counted": 3}
    assert seen == [{"progress": n, "total": 3, "message": f"{n} done"} for n in (1, 2, 3)]
    assert await host.call(version, "numbers", "count", {"to": 2}) == {"counted": 2}
    assert len(seen) == 3
    assert await host.call(version, "numbers", "quiet", {}) == {"progress": None}
    assert await host.call(version, "numbers", "quiet", {"progress": 5}) == {"progress": 5}
