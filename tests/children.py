"""Which processes a test has started: what Python, or the whole run of tests, keeps for itself is not among them."""

from __future__ import annotations

import contextlib
from typing import Final

import psutil

KEPT: Final = ("multiprocessing", "postgres", "temporal")
"""The resource tracker of `multiprocessing`, and the servers that many tests share."""


def own_children(*, recursive: bool = False) -> list[psutil.Process]:
    """Return the children of this process but for those that are kept until its end."""
    return [child for child in psutil.Process().children(recursive=recursive) if not _is_kept(child)]


def is_gone(process: psutil.Process) -> bool:
    """Say whether a process has ended, reaped or not."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def _is_kept(child: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        command = " ".join(child.cmdline())
        return any(name in command for name in KEPT)
    return True
