"""Spec 3.1: fifty plugins under load leave nothing behind, whatever is swapped or killed meanwhile.

A short form of `soak.py`, which runs as long as it is told to.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.isolation import Isolation
from plugins.core.isolation import this_machine
from tests.gateway.soak import soak

PLUGINS = 50


@pytest.mark.timeout(180)
async def test_fifty_plugins_under_load_leave_nothing_behind(tmp_path: Path) -> None:
    seen = await soak(tmp_path, PLUGINS, rounds=[4, 4, 4])
    assert seen.failed == []
    assert seen.calls > 200
    assert seen.swaps >= 6
    assert seen.kills >= 2
    processes = 2 if this_machine().offer(Isolation.SANDBOX).available else 1
    assert [weight.children for weight in seen.weights] == [PLUGINS * processes] * 3
    growth = seen.growth
    assert growth.descriptors <= 5, seen.weights
    assert growth.tasks <= 5, seen.weights
    assert growth.door_mib < 8, seen.weights
    assert growth.plugins_mib < PLUGINS * 0.2, seen.weights
