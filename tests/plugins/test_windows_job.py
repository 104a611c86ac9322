"""What a job object is told, held against winnt.h, what a contract's processes may use, and, on Windows, that it holds.

Sizes and offsets are those that `x86_64-w64-mingw32-gcc` gives with `offsetof` for winnt.h of mingw-w64 10.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from domain.contracts import PluginContract
from plugins.core import jobs
from plugins.core.jobs import job_limits
from plugins.core.sandbox import MEMORY_FLOOR_MB, MOST_PROCESSES, runtime_argv
from plugins.core.windows_job import (
    BasicLimits,
    CpuRate,
    ExtendedLimits,
    Limit,
    Limits,
    UiRestrictions,
    cpu_rate,
    extended_limits,
)
from tests.plugins.factories import a_manifest
from tests.plugins.windows import not_enforced_by_wine

ONE = Limits(process_mb=100, job_mb=164, processes=2)


@pytest.mark.parametrize(
    ("structure", "size"), [(BasicLimits, 64), (ExtendedLimits, 144), (UiRestrictions, 4), (CpuRate, 8)]
)
def test_structures_are_as_long_as_windows_says(structure: type[ctypes.Structure], size: int) -> None:
    assert ctypes.sizeof(structure) == size


@pytest.mark.parametrize(
    ("structure", "field", "offset"),
    [
        (BasicLimits, "limit_flags", 16),
        (BasicLimits, "minimum_working_set", 24),
        (BasicLimits, "active_processes", 40),
        (BasicLimits, "affinity", 48),
        (BasicLimits, "priority_class", 56),
        (ExtendedLimits, "io_counters", 64),
        (ExtendedLimits, "process_memory", 112),
        (ExtendedLimits, "job_memory", 120),
        (CpuRate, "rate", 4),
    ],
)
def test_fields_lie_where_windows_looks_for_them(structure: type[ctypes.Structure], field: str, offset: int) -> None:
    assert getattr(structure, field).offset == offset


def test_every_limit_is_asked_for_and_no_breakaway() -> None:
    flags = Limit(extended_limits(ONE).basic.limit_flags)
    assert flags == 0x2000 | 0x400 | 0x200 | 0x100 | 0x20 | 0x8
    assert not flags & (Limit.BREAKAWAY_OK | Limit.SILENT_BREAKAWAY_OK)


def test_limits_are_told_in_bytes_and_processes() -> None:
    wanted = extended_limits(ONE)
    assert (wanted.process_memory, wanted.job_memory) == (100 * 1024 * 1024, 164 * 1024 * 1024)
    assert wanted.basic.active_processes == 2
    assert wanted.basic.priority_class == 0x20


@pytest.mark.parametrize(("processors", "rate"), [(1, 10_000), (2, 5_000), (16, 625), (64, 156), (20_000, 1)])
def test_an_instance_gets_the_time_of_one_processor(processors: int, rate: int) -> None:
    cap = cpu_rate(processors)
    assert (cap.control_flags, cap.rate) == (0x1 | 0x4, rate)


def a_contract(**more: Any) -> PluginContract:
    return PluginContract.model_validate(a_manifest(**more))


FOREIGN = {"command": ["{python}", "server.py"]}
MANY = {"security_profile": {"subprocess": True}}


@pytest.mark.parametrize(
    ("more", "wrapped", "processes"),
    [
        ({}, False, 1),
        ({}, True, 2),
        (FOREIGN, False, 2),
        (FOREIGN, True, 3),
        (MANY, False, MOST_PROCESSES),
        (MANY, True, MOST_PROCESSES + 1),
    ],
)
def test_a_plugin_is_one_process_unless_its_contract_says_more(
    more: dict[str, Any], wrapped: bool, processes: int
) -> None:
    limits = job_limits(a_contract(resource_requirements={"memory_mb": 100}, **more), wrapped=wrapped)
    assert limits.processes == processes
    assert limits.process_mb == 100
    assert limits.job_mb == 100 + (wrapped + ("command" in more)) * MEMORY_FLOOR_MB


if sys.platform == "win32":
    import msvcrt

    from plugins.core.windows_job import WindowsJob

    SLEEP = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"]
    SPAWN = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'pass'])"

    def held(code: str, limits: Limits) -> int:
        """Run code that waits for a line until its job holds it; return its exit code."""
        command = [sys.executable, "-I", "-S", "-c", f"input()\n{code}"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            job = WindowsJob(process.pid, limits)
            process.communicate(b"\n", timeout=60)
            job.kill()
        return process.returncode

    def test_ending_a_job_ends_its_process_and_may_be_done_twice() -> None:
        with subprocess.Popen(SLEEP) as process:
            job = WindowsJob(process.pid, ONE)
            job.kill()
            job.kill()
            assert process.wait(10) == 1

    @not_enforced_by_wine
    def test_memory_is_bounded() -> None:
        assert held("bytearray(50 << 20)", Limits(300, 300, 1)) == 0
        assert held("bytearray(400 << 20)", Limits(300, 300, 1)) != 0

    @not_enforced_by_wine
    def test_a_plugin_alone_starts_no_other_process() -> None:
        assert held(SPAWN, Limits(300, 300, 2)) == 0
        assert held(SPAWN, Limits(300, 300, 1)) != 0

    async def read_by_child(handle: int, options: dict[str, Any]) -> bytes:
        look = f"import msvcrt, os; print(os.read(msvcrt.open_osfhandle({handle}, os.O_RDONLY), 9))"
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = await asyncio.create_subprocess_exec(sys.executable, "-I", "-S", "-c", look, **pipes, **options)
        return (await process.communicate())[0].strip()

    async def test_a_plugin_inherits_its_three_pipes_and_no_other_handle(tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("keep", encoding="utf-8")
        with secret.open("rb") as file:
            handle = msvcrt.get_osfhandle(file.fileno())
            os.set_handle_inheritable(handle, True)
            assert await read_by_child(handle, {**jobs.SPAWN_OPTIONS, "close_fds": False}) == b"b'keep'"
            assert await read_by_child(handle, jobs.SPAWN_OPTIONS) == b""

    def test_nothing_foreign_is_read_before_the_host_has_spoken(tmp_path: Path) -> None:
        mark = tmp_path / "mark"
        (tmp_path / "manifest.json").write_text(json.dumps(a_manifest()), encoding="utf-8")
        (tmp_path / "plugin.py").write_text(f"open({str(mark)!r}, 'w').close()\ncapabilities = {{}}", encoding="utf-8")
        command = runtime_argv(tmp_path, {})[:-1]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            time.sleep(2)
            assert not mark.exists()
            process.communicate(b"\n", timeout=30)
        assert mark.exists()

    def test_a_process_that_has_ended_is_an_error() -> None:
        process = subprocess.Popen([sys.executable, "-c", "pass"])
        process.wait(30)
        with pytest.raises(OSError):
            jobs.hold(process.pid, ONE)
