"""The table of acts: each is a function that raises when it is held back, and else says what it got.

Standard library only: these files are the plugin. Every bomb has an end, and what would hurt the machine if it worked
is asked for in a form that does not.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from typing import Any

assert sys.platform == "linux"

Given = dict[str, Any]
ACTS: dict[str, Callable[[Given], object]] = {}
LIBC = ctypes.CDLL(None, use_errno=True)
ARM = os.uname().machine == "aarch64"


def act(function: Callable[[Given], object]) -> Callable[[Given], object]:
    """Enter an act in the table."""
    ACTS[function.__name__] = function
    return function


def kernel(number: int, *arguments: Any) -> int:
    """Make a kernel call; a refusal raises."""
    result = int(LIBC.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
