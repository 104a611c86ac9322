"""Spec 3.1, the plugin's side on Windows - decides when foreign code may be read there, and how it fails.

Rules:
- Standard library only: it runs in the plugin's process.
- The host holds a process first (`jobs.py`) and speaks to it then. What waits in the pipe proves that the job bounds
  this process, so nothing foreign is read before. It is looked at and left there for whoever reads the pipe.
- A crash ends the process at once: no dialog waits for a person who is not there.

Not here: the limits themselves (`windows_job.py`).
"""

from __future__ import annotations

import sys
import time

LOOK_EVERY_SECONDS = 0.001

if sys.platform == "win32":
    import _winapi
    import ctypes
    import msvcrt

    FAIL_CRITICAL_ERRORS, NO_FAULT_BOX, NO_OPEN_FILE_BOX = 0x1, 0x2, 0x8000

    def wait_for_host() -> None:
        """Return when the host has spoken.

        Raises:
            BrokenPipeError: the host is gone.
        """
        ctypes.WinDLL("kernel32").SetErrorMode(FAIL_CRITICAL_ERRORS | NO_FAULT_BOX | NO_OPEN_FILE_BOX)
        pipe = msvcrt.get_osfhandle(0)
        while not _winapi.PeekNamedPipe(pipe, 0)[0]:
            time.sleep(LOOK_EVERY_SECONDS)
