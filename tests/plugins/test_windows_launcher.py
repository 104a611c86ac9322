"""What Windows is told about a plugin's process, held against its headers, and, on Windows, how one is started.

Sizes and offsets are what `x86_64-w64-mingw32-gcc` gives with `sizeof` and `offsetof` for the headers of mingw-w64.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from plugins.core import windows_launcher
from plugins.core.windows_launcher import (
    MITIGATIONS,
    Attribute,
    ProcessInformation,
    SecurityCapabilities,
    SidAndAttributes,
    StartupInfo,
    policies,
    signed,
)
from plugins.core.windows_rights import CAPABILITY, capability_sid, container_name, container_sid


@pytest.mark.parametrize(
    ("structure", "size"),
    [(StartupInfo, 112), (ProcessInformation, 24), (SidAndAttributes, 16), (SecurityCapabilities, 24)],
)
def test_structures_are_as_long_as_windows_says(structure: type[ctypes.Structure], size: int) -> None:
    assert ctypes.sizeof(structure) == size


@pytest.mark.parametrize(
    ("structure", "field", "offset"),
    [
        (StartupInfo, "desktop", 16),
        (StartupInfo, "flags", 60),
        (StartupInfo, "handles", 80),
        (StartupInfo, "attributes", 104),
        (ProcessInformation, "process_id", 16),
        (SidAndAttributes, "attributes", 8),
        (SecurityCapabilities, "capabilities", 8),
        (SecurityCapabilities, "count", 16),
    ],
)
def test_fields_lie_where_windows_looks_for_them(structure: type[ctypes.Structure], field: str, offset: int) -> None:
    assert getattr(structure, field).offset == offset


def test_attributes_have_their_numbers() -> None:
    assert {one.name: int(one) for one in Attribute} == {
        "HANDLE_LIST": 0x20002,
        "MITIGATION_POLICY": 0x20007,
        "SECURITY_CAPABILITIES": 0x20009,
        "CHILD_PROCESS_POLICY": 0x2000E,
    }


def test_mitigations_are_those_that_python_lives_with() -> None:
    assert MITIGATIONS == 0x0111_0001_0011_1000


@pytest.mark.parametrize(("processes", "forbidden"), [(1, True), (2, False), (32, False)])
def test_a_plugin_alone_may_create_no_process(processes: int, forbidden: bool) -> None:
    wanted = policies(processes)
    assert wanted[Attribute.MITIGATION_POLICY].value == MITIGATIONS
    assert (Attribute.CHILD_PROCESS_POLICY in wanted) is forbidden
    assert {one: ctypes.sizeof(value) for one, value in wanted.items()}.items() <= {
        Attribute.MITIGATION_POLICY: 8,
        Attribute.CHILD_PROCESS_POLICY: 4,
    }.items()


@pytest.mark.parametrize(("code", "as_int"), [(0, 0), (1, 1), (0x7FFFFFFF, 0x7FFFFFFF), (0xC0000005, -0x3FFFFFFB)])
def test_exit_codes_of_windows_fit_into_a_c_int(code: int, as_int: int) -> None:
    assert signed(code) == as_int


if sys.platform == "win32":
    from tests.plugins.windows import WINE, not_enforced_by_wine

    ROOT = str(Path(__file__).resolve().parents[2])
    WITHOUT_CONTAINER = f"""
import os, sys
sys.path.insert(0, {ROOT!r})
from plugins.core.windows_launcher import create, policies, restricted_token, run, signed
os._exit(signed(run(create(sys.argv[1:], restricted_token(), policies(1)))))
"""

    def through(code: str, *arguments: str, program: str = WITHOUT_CONTAINER) -> subprocess.CompletedProcess[bytes]:
        child = (sys.executable, "-I", "-S", "-B", "-c", code, *arguments)
        command = [sys.executable, "-B", "-c", program, *child]
        return subprocess.run(command, input=b"in", capture_output=True, timeout=60, check=False)

    ECHO = """
import sys
sys.stderr.write("err")
print(sys.stdin.read(), sys.argv[1:])
sys.exit(7)
"""
    PRIVILEGES = """
import ctypes
from ctypes import wintypes
security, token, size, told = ctypes.WinDLL("advapi32"), wintypes.HANDLE(), wintypes.DWORD(), (wintypes.DWORD * 512)()
security.OpenProcessToken(wintypes.HANDLE(-1), 8, ctypes.byref(token))
security.GetTokenInformation(token, 3, told, 2048, ctypes.byref(size))
print(told[0])
"""

    def test_a_process_gets_the_three_pipes_its_arguments_and_tells_its_end() -> None:
        done = through(ECHO, "a b", 'q"x', "")
        assert (done.returncode, done.stderr) == (7, b"err")
        assert done.stdout.strip() == b"in ['a b', 'q\"x', '']"

    @not_enforced_by_wine
    def test_a_process_has_no_privilege_but_to_pass_through_folders() -> None:
        assert through(PRIVILEGES).stdout.strip() == b"1"

    def test_what_cannot_be_walled_in_is_not_run(tmp_path: Path) -> None:
        mark = tmp_path / "ran"
        container, capability = container_sid(container_name("house_test")), capability_sid(CAPABILITY)
        launcher = [sys.executable, "-I", "-S", "-B", windows_launcher.__file__, "1", container, capability]
        command = [*launcher, sys.executable, "-I", "-S", "-c", f"open({str(mark)!r}, 'w')"]
        done = subprocess.run(command, input=b"\n", capture_output=True, timeout=60, check=False)
        assert done.returncode != 0
        assert not WINE or b"Windows does not know SECURITY_CAPABILITIES" in done.stderr
        assert not mark.exists()
