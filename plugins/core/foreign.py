"""Spec 3.1, foreign MCP servers - decides as what a process goes on whose manifest names a command.

Rules:
- Standard library only: it runs in the plugin's process, after its limits are set and before any foreign code is read.
- `{package}` in the command is the package's folder; `{python}` is this interpreter without the house's libraries, with
  the package and its own environment on its path.

Not here: what such a server says (`dialects.py`), the house's own runtime (`runtime.py`).
"""

from __future__ import annotations

import os
import shutil
import sys


def become(command: list[str], folder: str, site: str) -> None:
    """Become a foreign server, with the package's folder and its own environment on Python's path.

    Raises:
        FileNotFoundError: there is no such program.
    """
    argv = [word.replace("{package}", folder) for word in command]
    if argv[0] == "{python}":
        argv[:1] = [sys.executable, "-S"]
    path = f"{folder}{os.pathsep}{folder}{os.sep}{site}"
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    program = shutil.which(argv[0])
    if program is None:
        raise FileNotFoundError(f"there is no program {argv[0]}")
    if sys.platform != "win32":
        os.execve(program, argv, environment)  # noqa: S606 - no shell is wanted
    import subprocess  # Windows has no exec: the job object holds both processes

    command, flags = [program, *argv[1:]], subprocess.DETACHED_PROCESS
    # a process without a console hands on only those pipes that are named
    os._exit(subprocess.call(command, env=environment, creationflags=flags, stdin=0, stdout=1, stderr=2))
