"""What tests that run on Windows alone need to know about it."""

from __future__ import annotations

import ctypes
import sys

import pytest


def _is_wine() -> bool:
    return sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


WINE = _is_wine()
not_enforced_by_wine = pytest.mark.skipif(WINE, reason="wine accepts this and does not enforce it")
