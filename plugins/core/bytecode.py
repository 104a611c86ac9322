"""Spec 3.4, fast starts - decides what of the house's own code a plugin process loads.

Rules:
- The files that are loaded beside foreign code are few, need the standard library only, and are listed here.
- They are compiled once by every process that starts plugins, from the sources as they are, into a folder that only its
  owner can enter; Python would compile a script anew at each start. Nothing that lay there before is ever loaded.

Not here: what they do.
"""

from __future__ import annotations

import atexit
import py_compile
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

INSIDE: Final = (
    *("runtime", "lean_json", "answers", "coroutines", "walls", "asking", "fetching", "foreign"),
    *("runtime_windows", "windows_launcher"),
)


@cache
def compiled() -> Path:
    """Return the folder that holds the compiled files, made at first use and removed when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="plugin-runtime-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in INSIDE:
        source = Path(__file__).with_name(f"{name}.py")
        target = folder / f"{name}.pyc"
        py_compile.compile(str(source), str(target), f"{name}.py", doraise=True, optimize=2)
    return folder
