"""Which processes a test has started: what Python keeps for itself is not among them."""

from __future__ import annotations

import contextlib

import psutil


def own_children(*, recursive: bool = False) -> list[psutil.Process]:
    """Return the children of this process but for the resource tracker that `multiprocessing` keeps until its end."""
    return [child for child in psutil.Process().children(recursive=recursive) if not _is_pythons_own(child)]


def is_gone(process: psutil.Process) -> bool:
    """Say whether a process has ended, reaped or not."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def _is_pythons_own(child: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "multiprocessing" in " ".join(child.cmdline())
    return True
