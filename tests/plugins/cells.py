"""The cell of the tier wasm for all tests of a run, and for later runs: building it takes a minute."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from plugins.core.failures import PluginFailure
from plugins.core.wasm.cells import BUILD_SECONDS, Cells
from plugins.core.wasm.jail import WasmJail


def shared_jail(place: Path) -> WasmJail:
    """Return walls whose cell is built; one process builds it, the others wait."""
    lock, cells = place / "building", Cells(place / "cells")
    try:
        jail = WasmJail(cells)
    except PluginFailure as failure:
        pytest.skip(failure.hint)
    while not _taken(lock):
        time.sleep(0.2)
    try:
        cells.code()
    finally:
        lock.rmdir()
    return jail


def _taken(lock: Path) -> bool:
    with contextlib.suppress(FileExistsError):
        lock.mkdir()
        return True
    with contextlib.suppress(OSError):
        if time.time() - lock.stat().st_mtime > BUILD_SECONDS:
            lock.rmdir()
    return False
