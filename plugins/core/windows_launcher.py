"""Spec 3.1 and 11.1, walls on Windows - decides with which rights a plugin's process is created.

    python -I -S -B windows_launcher.py PROCESSES CONTAINER_SID CAPABILITY_SID COMMAND...
    python -I -S -B windows_launcher.py PROCESSES - - COMMAND...

Rules:
- This program stands between the host and the plugin as bubblewrap does on Linux: it creates the plugin's process
  behind the walls, hands it its own three pipes, environment and folder, waits for it, and ends with its exit code.
- All walls stand before the first instruction of the plugin's process, set from outside. A process could lower only
  part of its own token for good (privileges, integrity), and no process can put itself into an AppContainer.
- The token is a restricted copy of the host's: no privilege but that of passing through folders, and no administrator.
- Inside an AppContainer it has low integrity and no capability but the one that opens the interpreter: no file of the
  user, no network, no other process of the user. Without a container it has low integrity alone: it writes to nothing
  that is not marked as low, and reads what the user reads.
- Nothing is inherited but the three pipes. A plugin alone cannot create a process at all, which the job limits as well.
- No plugin-made or remote library is loaded, no foreign extension, no foreign font. Left out, because CPython or its
  libraries need them: code made at run time (callbacks of ctypes), the calls of win32k (user32), strict handles.
- It starts nothing before the host holds it (`runtime_windows.py`), so that the plugin is created within the job, and
  lets the plugin run only when the job, and the container or the integrity, are seen to be so.
- The plugin cannot reach this process. When this process ends, the host ends the job and with it the plugin.

Standard library only. The layouts are those of the Windows headers for 64 bits.

Not here: which files the container may open (`windows_rights.py`), what the job limits (`windows_job.py`).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from enum import IntEnum, IntFlag
from typing import Any


class Attribute(IntEnum):
    """PROC_THREAD_ATTRIBUTE_*."""

    HANDLE_LIST = 0x20002
    MITIGATION_POLICY = 0x20007
    SECURITY_CAPABILITIES = 0x20009
    CHILD_PROCESS_POLICY = 0x2000E


class Mitigation(IntFlag):
    """PROCESS_CREATION_MITIGATION_POLICY_*_ALWAYS_ON."""

    HEAP_TERMINATE = 1 << 12
    BOTTOM_UP_ASLR = 1 << 16
    HIGH_ENTROPY_ASLR = 1 << 20
    EXTENSION_POINT_DISABLE = 1 << 32
    FONT_DISABLE = 1 << 48
    IMAGE_LOAD_NO_REMOTE = 1 << 52
    IMAGE_LOAD_NO_LOW_LABEL = 1 << 56


MITIGATIONS = sum(Mitigation)
CHILD_PROCESS_RESTRICTED = 1
NO_CONTAINER = "-"
LOW_INTEGRITY = "S-1-16-4096"
ENABLED, INTEGRITY = 0x4, 0x20
STANDARD_HANDLES = 0x100
SUSPENDED, DETACHED, EXTENDED_STARTUP_INFO = 0x4, 0x8, 0x80000
DISABLE_MAX_PRIVILEGE, LUA_TOKEN = 0x1, 0x4


class StartupInfo(ctypes.Structure):
    """STARTUPINFOEXW: STARTUPINFOW and the attributes."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("reserved", ctypes.c_void_p),
        ("desktop", ctypes.c_void_p),
        ("title", ctypes.c_void_p),
        ("place", ctypes.c_uint32 * 7),
        ("flags", ctypes.c_uint32),
        ("show_window", ctypes.c_uint16),
        ("reserved_size", ctypes.c_uint16),
        ("reserved_bytes", ctypes.c_void_p),
        ("handles", ctypes.c_void_p * 3),
        ("attributes", ctypes.c_void_p),
    )


class ProcessInformation(ctypes.Structure):
    """PROCESS_INFORMATION."""

    _fields_ = (
        ("process", ctypes.c_void_p),
        ("thread", ctypes.c_void_p),
        ("process_id", ctypes.c_uint32),
        ("thread_id", ctypes.c_uint32),
    )


class SidAndAttributes(ctypes.Structure):
    """SID_AND_ATTRIBUTES."""

    _fields_ = (("sid", ctypes.c_void_p), ("attributes", ctypes.c_uint32))


class SecurityCapabilities(ctypes.Structure):
    """SECURITY_CAPABILITIES."""

    _fields_ = (
        ("container", ctypes.c_void_p),
        ("capabilities", ctypes.POINTER(SidAndAttributes)),
        ("count", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
    )


def signed(code: int) -> int:
    """Return an exit code as Python's `os._exit` takes it: Windows has codes like 0xC0000005."""
    return code - (1 << 32) if code >= 1 << 31 else code


def policies(processes: int) -> dict[Attribute, Any]:
    """Return what the plugin's process can never take back.

    Args:
        processes: how many the plugin may be.
    """
    wanted: dict[Attribute, Any] = {Attribute.MITIGATION_POLICY: ctypes.c_uint64(MITIGATIONS)}
    if processes == 1:
        wanted[Attribute.CHILD_PROCESS_POLICY] = ctypes.c_uint32(CHILD_PROCESS_RESTRICTED)
    return wanted


if sys.platform == "win32":
    from ctypes import wintypes

    STANDARD_STREAMS = (-10, -11, -12)
    TOKEN_RIGHTS = 0x1 | 0x2 | 0x8 | 0x80  # assign as primary, duplicate, query, adjust the default
    TOKEN_QUERY = 0x8
    TOKEN_INTEGRITY_LEVEL, TOKEN_IS_APP_CONTAINER = 25, 29
    FOREVER = 0xFFFFFFFF

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _security = ctypes.WinDLL("advapi32", use_last_error=True)
    _kernel.GetStdHandle.restype = wintypes.HANDLE
    _kernel.GetCurrentProcess.restype = wintypes.HANDLE
    _kernel.InitializeProcThreadAttributeList.argtypes = (
        *(wintypes.LPVOID, wintypes.DWORD, wintypes.DWORD, ctypes.POINTER(ctypes.c_size_t)),
    )
    _kernel.UpdateProcThreadAttribute.argtypes = (
        *(wintypes.LPVOID, wintypes.DWORD, ctypes.c_size_t, wintypes.LPVOID, ctypes.c_size_t),
        *(wintypes.LPVOID, wintypes.LPVOID),
    )
    _kernel.IsProcessInJob.argtypes = (wintypes.HANDLE, wintypes.HANDLE, ctypes.POINTER(wintypes.BOOL))
    _kernel.ResumeThread.argtypes = (wintypes.HANDLE,)
    _kernel.TerminateProcess.argtypes = (wintypes.HANDLE, wintypes.UINT)
    _kernel.WaitForSingleObject.argtypes = (wintypes.HANDLE, wintypes.DWORD)
    _kernel.GetExitCodeProcess.argtypes = (wintypes.HANDLE, ctypes.POINTER(wintypes.DWORD))
    _security.OpenProcessToken.argtypes = (wintypes.HANDLE, wintypes.DWORD, ctypes.POINTER(wintypes.HANDLE))
    _security.CreateRestrictedToken.argtypes = (
        *(wintypes.HANDLE, wintypes.DWORD),
        *(wintypes.DWORD, wintypes.LPVOID) * 3,
        ctypes.POINTER(wintypes.HANDLE),
    )
    _security.SetTokenInformation.argtypes = (wintypes.HANDLE, ctypes.c_int, wintypes.LPVOID, wintypes.DWORD)
    _security.EqualSid.argtypes = (wintypes.LPVOID, wintypes.LPVOID)
    _security.GetLengthSid.argtypes = (wintypes.LPVOID,)
    _security.GetTokenInformation.argtypes = (
        *(wintypes.HANDLE, ctypes.c_int, wintypes.LPVOID, wintypes.DWORD, ctypes.POINTER(wintypes.DWORD)),
    )
    _security.ConvertStringSidToSidW.argtypes = (wintypes.LPCWSTR, ctypes.POINTER(wintypes.LPVOID))
    _security.CreateProcessAsUserW.argtypes = (
        *(wintypes.HANDLE, wintypes.LPCWSTR, wintypes.LPWSTR, wintypes.LPVOID, wintypes.LPVOID, wintypes.BOOL),
        *(wintypes.DWORD, wintypes.LPVOID, wintypes.LPCWSTR),
        *(ctypes.POINTER(StartupInfo), ctypes.POINTER(ProcessInformation)),
    )

    def restricted_token() -> wintypes.HANDLE:
        """Return a copy of this process's token without privileges and without administrators."""
        own, restricted = wintypes.HANDLE(), wintypes.HANDLE()
        _true(_security.OpenProcessToken(_kernel.GetCurrentProcess(), TOKEN_RIGHTS, ctypes.byref(own)))
        flags = DISABLE_MAX_PRIVILEGE | LUA_TOKEN
        _true(_security.CreateRestrictedToken(own, flags, 0, None, 0, None, 0, None, ctypes.byref(restricted)))
        return restricted

    def lower(token: wintypes.HANDLE) -> None:
        """Give a token low integrity; a process that has it cannot raise it."""
        sid = _sid(LOW_INTEGRITY)
        label = SidAndAttributes(sid, INTEGRITY)
        size = ctypes.sizeof(label) + _security.GetLengthSid(sid)
        _true(_security.SetTokenInformation(token, TOKEN_INTEGRITY_LEVEL, ctypes.byref(label), size))

    def container_of(container: str, capability: str) -> SecurityCapabilities:
        """Return the AppContainer a process is created in, with one capability and no other."""
        held = SidAndAttributes(_sid(capability), ENABLED)
        return SecurityCapabilities(_sid(container), ctypes.pointer(held), 1, 0)

    def create(command: Sequence[str], token: wintypes.HANDLE, attributes: dict[Attribute, Any]) -> ProcessInformation:
        """Create a process that does not run yet, with this one's pipes, environment and folder.

        Args:
            command: program and arguments.
            token: its rights.
            attributes: structures, which Windows reads until the process is there.
        """
        import subprocess

        handles = (ctypes.c_void_p * 3)(*map(_kernel.GetStdHandle, STANDARD_STREAMS))
        for handle in handles:
            os.set_handle_inheritable(int(handle or 0), True)
        attributes = {Attribute.HANDLE_LIST: handles, **attributes}
        start = StartupInfo(size=ctypes.sizeof(StartupInfo), flags=STANDARD_HANDLES, handles=handles)
        listed = _attribute_list(attributes)
        start.attributes = ctypes.addressof(listed)
        line = ctypes.create_unicode_buffer(subprocess.list2cmdline(command))
        created = ProcessInformation()
        flags = SUSPENDED | DETACHED | EXTENDED_STARTUP_INFO
        where: tuple[Any, ...] = (None, None, ctypes.byref(start), ctypes.byref(created))
        _true(_security.CreateProcessAsUserW(token, command[0], line, None, None, True, flags, *where))
        return created

    def see_walls(created: ProcessInformation, *, contained: bool) -> None:
        """Make sure that a process is in a job and has the token it was to have, or end it.

        Raises:
            OSError: it is not so.
        """
        in_job, token = wintypes.BOOL(), wintypes.HANDLE()
        _true(_kernel.IsProcessInJob(created.process, None, ctypes.byref(in_job)))
        _true(_security.OpenProcessToken(created.process, TOKEN_QUERY, ctypes.byref(token)))
        walled = is_contained(token) if contained else is_low(token)
        if not (in_job and walled):
            _kernel.TerminateProcess(created.process, 1)
            raise OSError(f"the plugin's process is not walled in: job {bool(in_job)}, token {walled}")

    def is_contained(token: wintypes.HANDLE) -> bool:
        """Say whether a token is one of an AppContainer."""
        told, size = wintypes.DWORD(), wintypes.DWORD()
        _security.GetTokenInformation(token, TOKEN_IS_APP_CONTAINER, ctypes.byref(told), 4, ctypes.byref(size))
        return bool(told)

    def is_low(token: wintypes.HANDLE) -> bool:
        """Say whether a token has low integrity."""
        told, size = (SidAndAttributes * 8)(), wintypes.DWORD()
        _true(
            _security.GetTokenInformation(token, TOKEN_INTEGRITY_LEVEL, told, ctypes.sizeof(told), ctypes.byref(size))
        )
        return bool(_security.EqualSid(told[0].sid, _sid(LOW_INTEGRITY)))

    def run(created: ProcessInformation) -> int:
        """Let a process run, without a hand on its pipes, and return its exit code."""
        code = wintypes.DWORD()
        _kernel.ResumeThread(created.thread)
        for descriptor in range(3):
            os.close(descriptor)
        _kernel.WaitForSingleObject(created.process, FOREVER)
        _kernel.GetExitCodeProcess(created.process, ctypes.byref(code))
        return code.value

    def main(arguments: Sequence[str]) -> None:
        """Run a command behind the walls and end as it ends."""
        beside("runtime_windows")["wait_for_host"]()
        processes, container, capability, *command = arguments
        token, walls = restricted_token(), policies(int(processes))
        contained = container != NO_CONTAINER
        if contained:
            walls[Attribute.SECURITY_CAPABILITIES] = container_of(container, capability)
        else:
            lower(token)
        created = create(command, token, walls)
        see_walls(created, contained=contained)
        os._exit(signed(run(created)))

    def beside(name: str) -> dict[str, Any]:
        """Return what a file that lies beside this one defines, compiled like this one or not."""
        import runpy

        folder, kind = os.path.split(os.path.abspath(__file__))[0], os.path.splitext(__file__)[1]  # noqa: PTH100, PTH122
        return runpy.run_path(os.path.join(folder, name + kind))  # noqa: PTH118

    def _attribute_list(attributes: dict[Attribute, Any]) -> ctypes.Array[ctypes.c_char]:
        size = ctypes.c_size_t()
        _kernel.InitializeProcThreadAttributeList(None, len(attributes), 0, ctypes.byref(size))
        listed = ctypes.create_string_buffer(size.value)
        _true(_kernel.InitializeProcThreadAttributeList(listed, len(attributes), 0, ctypes.byref(size)))
        for key, value in attributes.items():
            told = (listed, 0, key, ctypes.byref(value), ctypes.sizeof(value), None, None)
            if not _kernel.UpdateProcThreadAttribute(*told):
                raise OSError(f"Windows does not know {key.name}: {ctypes.WinError(ctypes.get_last_error())}")
        return listed

    def _sid(text: str) -> wintypes.LPVOID:
        sid = wintypes.LPVOID()
        _true(_security.ConvertStringSidToSidW(text, ctypes.byref(sid)))
        return sid

    def _true(answer: int) -> None:
        if not answer:
            raise ctypes.WinError(ctypes.get_last_error())

    if __name__ == "__main__":
        main(sys.argv[1:])
