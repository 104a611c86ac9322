"""Spec 3.1, process limits - decides how a plugin process and all it started are bounded and ended at once.

Rules:
- POSIX: the process leads a session of its own; ending it ends the whole group.
- Windows: a job object with KILL_ON_JOB_CLOSE and a memory limit; closing it, or the host's death, ends all in it.

Not here: what the process may see (`sandbox.py`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import Any, Protocol


class Job(Protocol):
    """A process together with all it started."""

    def kill(self) -> None:
        """End all of it now; nothing happens when it has ended already."""


if sys.platform == "win32":
    import win32api
    import win32con
    import win32job

    SPAWN_OPTIONS: dict[str, Any] = {
        "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW,
    }

    class WindowsJob:
        """A job object that holds one plugin process."""

        def __init__(self, pid: int, memory_mb: int) -> None:
            create: Any = win32job.CreateJobObject  # the stubs do not know that it returns the handle
            self._job = create(None, "")
            limits = win32job.QueryInformationJobObject(self._job, win32job.JobObjectExtendedLimitInformation)
            limits["BasicLimitInformation"]["LimitFlags"] = (
                win32job.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | win32job.JOB_OBJECT_LIMIT_JOB_MEMORY
            )
            limits["JobMemoryLimit"] = memory_mb << 20
            win32job.SetInformationJobObject(self._job, win32job.JobObjectExtendedLimitInformation, limits)
            access = win32con.PROCESS_SET_QUOTA | win32con.PROCESS_TERMINATE
            process = win32api.OpenProcess(access, False, pid)
            win32job.AssignProcessToJobObject(self._job, process)

        def kill(self) -> None:
            """End every process of the job."""
            win32job.TerminateJobObject(self._job, 1)

    def hold(pid: int, memory_mb: int) -> Job:
        """Put a fresh process into a job of its own."""
        return WindowsJob(pid, memory_mb)

else:
    SPAWN_OPTIONS: dict[str, Any] = {"start_new_session": True}

    class ProcessGroup:
        """A session leader and its group; the memory limit is the process's own (`runtime.contain`)."""

        def __init__(self, pid: int) -> None:
            self._pid = pid

        def kill(self) -> None:
            """End every process of the group."""
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)

    def hold(pid: int, memory_mb: int) -> Job:
        """Take hold of a fresh process that leads its own session."""
        del memory_mb
        return ProcessGroup(pid)
