"""Spec 3.1, process limits - decides how a plugin process and all it started are bounded and ended at once.

Rules:
- POSIX: the process leads a session of its own; ending it ends the whole group.
- Windows: the process has no console, inherits its three pipes and no other handle, and is put into a job object, which
  bounds and ends it and all it starts.
- The host speaks to a process only when it holds it. On Windows nothing foreign is read before the host has spoken
  (`runtime_windows.py`), so there is no moment in which a plugin runs outside of its job. The other way, starting the
  process suspended, would mean to give up asyncio's own way of starting it.

Not here: what the process may see (`sandbox.py`), the limits of a job (`windows_job.py`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import Any, Protocol

from domain.contracts import PluginContract
from plugins.core.sandbox import MEMORY_FLOOR_MB, MOST_PROCESSES, memory_limit_mb
from plugins.core.windows_job import Limits


class Job(Protocol):
    """A process together with all it started."""

    def kill(self) -> None:
        """End all of it now; nothing happens when it has ended already."""


def job_limits(contract: PluginContract, *, wrapped: bool = False) -> Limits:
    """Return what the processes of one instance may use on Windows.

    A foreign server is started by our runtime, which waits for it, where a process cannot become another.

    Args:
        contract: of the plugin.
        wrapped: whether another process of ours stands around the plugin's.
    """
    memory = memory_limit_mb(contract)
    own = MOST_PROCESSES if contract.security_profile.subprocess else 1
    around = wrapped + bool(contract.command)
    return Limits(memory, memory + around * MEMORY_FLOOR_MB, own + around)


if sys.platform == "win32":
    from plugins.core.windows_job import WindowsJob

    SPAWN_OPTIONS: dict[str, Any] = {
        "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS,
        "close_fds": True,
    }

    def hold(pid: int, limits: Limits) -> Job:
        """Put a fresh process into a job of its own.

        Raises:
            OSError: Windows refuses.
        """
        return WindowsJob(pid, limits)

else:
    SPAWN_OPTIONS: dict[str, Any] = {"start_new_session": True, "close_fds": True}

    class ProcessGroup:
        """A session leader and its group; the memory limit is the process's own (`runtime.contain`)."""

        def __init__(self, pid: int) -> None:
            self._pid = pid

        def kill(self) -> None:
            """End every process of the group."""
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)

    def hold(pid: int, limits: Limits) -> Job:
        """Take hold of a fresh process that leads its own session."""
        del limits
        return ProcessGroup(pid)
