"""Spec 3.1 and 11.1, Windows job objects - decides what a plugin process and all it starts may use on Windows.

Rules:
- Closing the job, by the host's hand or by its death, ends every process in it; none can leave it (no breakaway).
- Memory is bounded for each process and for all together, the number of processes and their priority are fixed, and a
  process that crashes ends instead of waiting in a dialog.
- One instance gets the time of one processor, however many there are.
- Clipboard, desktop, atoms, foreign windows and the shutdown are out of reach, unless the host itself runs in a job:
  Windows nests no job that limits these.
- A limit that Windows refuses is an error, but for the share of the processor: remote desktop services may have taken
  that over.

The layouts are those of winnt.h for 64 bits; they are spelled in fixed widths, so that they can be checked anywhere.

Not here: when a process is put into its job (`jobs.py`), what it may read and reach (`windows_launcher.py`).
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from enum import IntEnum, IntFlag


class Limit(IntFlag):
    """JOB_OBJECT_LIMIT_*."""

    ACTIVE_PROCESS = 0x8
    PRIORITY_CLASS = 0x20
    PROCESS_MEMORY = 0x100
    JOB_MEMORY = 0x200
    DIE_ON_UNHANDLED_EXCEPTION = 0x400
    BREAKAWAY_OK = 0x800
    SILENT_BREAKAWAY_OK = 0x1000
    KILL_ON_JOB_CLOSE = 0x2000


class Information(IntEnum):
    """JOBOBJECTINFOCLASS."""

    BASIC_UI_RESTRICTIONS = 4
    EXTENDED_LIMIT_INFORMATION = 9
    CPU_RATE_CONTROL_INFORMATION = 15


ALWAYS = Limit.KILL_ON_JOB_CLOSE | Limit.DIE_ON_UNHANDLED_EXCEPTION | Limit.PRIORITY_CLASS | Limit.ACTIVE_PROCESS
MEMORY = Limit.PROCESS_MEMORY | Limit.JOB_MEMORY
NORMAL_PRIORITY_CLASS = 0x20
EVERY_UI_RESTRICTION = 0xFF
"""Handles, reading and writing the clipboard, system parameters, display settings, atoms, desktop, exit."""
CPU_RATE_ENABLE, CPU_RATE_HARD_CAP = 0x1, 0x4
WHOLE_MACHINE = 10_000
"""A processor rate is given in hundredths of a percent of all processors."""


class BasicLimits(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION."""

    _fields_ = (
        ("per_process_user_time", ctypes.c_int64),
        ("per_job_user_time", ctypes.c_int64),
        ("limit_flags", ctypes.c_uint32),
        ("minimum_working_set", ctypes.c_size_t),
        ("maximum_working_set", ctypes.c_size_t),
        ("active_processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority_class", ctypes.c_uint32),
        ("scheduling_class", ctypes.c_uint32),
    )


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION; the six I/O counters are read only."""

    _fields_ = (
        ("basic", BasicLimits),
        ("io_counters", ctypes.c_uint64 * 6),
        ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t),
        ("peak_process_memory", ctypes.c_size_t),
        ("peak_job_memory", ctypes.c_size_t),
    )


class UiRestrictions(ctypes.Structure):
    """JOBOBJECT_BASIC_UI_RESTRICTIONS."""

    _fields_ = (("restrictions", ctypes.c_uint32),)


class CpuRate(ctypes.Structure):
    """JOBOBJECT_CPU_RATE_CONTROL_INFORMATION."""

    _fields_ = (("control_flags", ctypes.c_uint32), ("rate", ctypes.c_uint32))


@dataclass(frozen=True)
class Limits:
    """What the processes of one instance may use.

    Attributes:
        process_mb: memory that one of them may commit.
        job_mb: memory that all of them may commit together.
        processes: how many of them there may be at a time.
    """

    process_mb: int
    job_mb: int
    processes: int


def extended_limits(limits: Limits) -> ExtendedLimits:
    """Return the limits as Windows takes them."""
    wanted = ExtendedLimits()
    wanted.basic.limit_flags = ALWAYS | MEMORY
    wanted.basic.active_processes = limits.processes
    wanted.basic.priority_class = NORMAL_PRIORITY_CLASS
    wanted.process_memory = limits.process_mb << 20
    wanted.job_memory = limits.job_mb << 20
    return wanted


def cpu_rate(processors: int) -> CpuRate:
    """Return the hard cap that is the time of one processor among `processors`."""
    return CpuRate(CPU_RATE_ENABLE | CPU_RATE_HARD_CAP, max(1, WHOLE_MACHINE // processors))


if sys.platform == "win32":
    import os
    from ctypes import wintypes

    PROCESS_TERMINATE, PROCESS_SET_QUOTA, PROCESS_QUERY_INFORMATION = 0x1, 0x100, 0x400
    ENDED_BY_HOST = 1

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel.CreateJobObjectW.argtypes = (wintypes.LPVOID, wintypes.LPCWSTR)
    _kernel.CreateJobObjectW.restype = wintypes.HANDLE
    _kernel.SetInformationJobObject.argtypes = (wintypes.HANDLE, ctypes.c_int, wintypes.LPVOID, wintypes.DWORD)
    _kernel.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
    _kernel.OpenProcess.restype = wintypes.HANDLE
    _kernel.IsProcessInJob.argtypes = (wintypes.HANDLE, wintypes.HANDLE, ctypes.POINTER(wintypes.BOOL))
    _kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
    _kernel.TerminateJobObject.argtypes = (wintypes.HANDLE, wintypes.UINT)
    _kernel.CloseHandle.argtypes = (wintypes.HANDLE,)

    class WindowsJob:
        """A job object with one process and all that it starts from now on.

        Args:
            pid: the process; somebody must hold a handle of it, so that the number is still its own.
            limits: what the processes may use.

        Raises:
            OSError: Windows refuses the job or one of its limits.
        """

        def __init__(self, pid: int, limits: Limits) -> None:
            self._handle: int | None = _checked(_kernel.CreateJobObjectW(None, None))
            try:
                self._limit(Information.EXTENDED_LIMIT_INFORMATION, extended_limits(limits))
                self._try_to_limit(Information.CPU_RATE_CONTROL_INFORMATION, cpu_rate(os.cpu_count() or 1))
                self._take(pid)
            except BaseException:
                self.kill()
                raise

        def kill(self) -> None:
            """End every process of the job, and the job; nothing happens when that was done before."""
            if self._handle is not None:
                _kernel.TerminateJobObject(self._handle, ENDED_BY_HOST)
                _kernel.CloseHandle(self._handle)
                self._handle = None

        def _take(self, pid: int) -> None:
            rights = PROCESS_TERMINATE | PROCESS_SET_QUOTA | PROCESS_QUERY_INFORMATION
            process = _checked(_kernel.OpenProcess(rights, False, pid))
            try:
                nested = wintypes.BOOL()
                _checked(_kernel.IsProcessInJob(process, None, ctypes.byref(nested)))
                if not nested:
                    self._limit(Information.BASIC_UI_RESTRICTIONS, UiRestrictions(EVERY_UI_RESTRICTION))
                _checked(_kernel.AssignProcessToJobObject(self._handle, process))
            finally:
                _kernel.CloseHandle(process)

        def _limit(self, kind: Information, wanted: ctypes.Structure) -> None:
            _checked(self._try_to_limit(kind, wanted))

        def _try_to_limit(self, kind: Information, wanted: ctypes.Structure) -> int:
            size = ctypes.sizeof(wanted)
            return int(_kernel.SetInformationJobObject(self._handle, kind, ctypes.byref(wanted), size))

    def _checked(answer: int | None) -> int:
        """Return what Windows returned, unless that says that it refuses."""
        if not answer:
            raise ctypes.WinError(ctypes.get_last_error())
        return answer
