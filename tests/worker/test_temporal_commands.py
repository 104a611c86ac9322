"""Spec 10.2, steering from outside - decides whether the commands that README shows do what it says.

Rules:
- The lines are taken out of README and run as they stand, by the stock `temporal` program against `up`.

Not here: our own command line (`test_cli.py`).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from domain.upgrades import UpgradeStatus
from examples.agent.users import Users
from tests.worker.running import ROOT, Running, running
from worker.temporal_server import find_temporal

ASK_ALWAYS = {"UPGRADE_LOOP_DECISION__AUTO_APPROVE_THRESHOLD": "1.0"}
WARM_UP_SECONDS = 10
WANTED = frozenset({"units", "text", "documents", "currency"})


def blocks() -> Iterator[list[str]]:
    """Yield the lines of each block of commands in README's section."""
    section = (ROOT / "README.md").read_text(encoding="utf-8")
    section = section.partition("<!-- temporal-commands:start -->")[2].partition("<!-- temporal-commands:end -->")[0]
    for block in re.findall(r"```console\n(.*?)```", section, flags=re.DOTALL):
        yield block.splitlines()


def said(world: Running, line: str) -> str:
    """Run one line of README and return what it printed."""
    words = [word.removeprefix("'").removesuffix("'") for word in re.findall(r"'[^']*'|\S+", line)]
    assert words[0] == "temporal"
    environment = {**os.environ, "TEMPORAL_ADDRESS": world.addresses["temporal"]}
    ended = subprocess.run(
        [str(find_temporal()), *words[1:]], env=environment, capture_output=True, text=True, check=False, timeout=90
    )
    assert ended.returncode == 0, f"{line}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def standing(world: Running) -> dict[str, UpgradeStatus]:
    """Return where the upgrade of each capability stands."""
    return {record.capability: record.status for record in world.store.upgrades.list()}


def is_so(world: Running, **wanted: UpgradeStatus) -> bool:
    return standing(world).items() >= wanted.items()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_commands_of_the_readme_do_what_it_says(tmp_path: Path) -> None:
    look, answer, take_back = blocks()
    with running(tmp_path / "home", environment=ASK_ALWAYS) as world:
        users = Users(world.addresses["gateway"], seed=5, calls_per_second=40, money=True)
        await users.start()
        await asyncio.sleep(WARM_UP_SECONDS)
        await asyncio.to_thread(said, world, look[0])
        waiting = dict.fromkeys(WANTED, UpgradeStatus.AWAITING_APPROVAL)
        await asyncio.to_thread(world.until, partial(is_so, world, **waiting), 90)

        status, awaiting, of_units, units = [await asyncio.to_thread(said, world, line) for line in look[1:]]
        assert "cycle-by-hand" in status
        assert all(f"upgrade-{capability}" in awaiting for capability in WANTED)
        assert "upgrade-units" in of_units
        assert "upgrade-text" not in of_units
        assert "awaiting_approval" in units

        for line in answer:
            await asyncio.to_thread(said, world, line)
        ended = {
            "units": UpgradeStatus.DEPLOYED,
            "text": UpgradeStatus.DEPLOYED,
            "documents": UpgradeStatus.REJECTED,
            "currency": UpgradeStatus.REJECTED,
        }
        await asyncio.to_thread(world.until, partial(is_so, world, **ended), 120)

        _, result = [await asyncio.to_thread(said, world, line) for line in take_back]
        assert "rolled_back" in result
        assert standing(world) == {**ended, "units": UpgradeStatus.ROLLED_BACK}
        assert "units" not in world.store.routes.load().routes
        assert (await users.stop()).failed == 0
        _assert_reasons_are_kept(world)


def _assert_reasons_are_kept(world: Running) -> None:
    told = " ".join(json.dumps(entry.detail) for entry in world.store.audit.entries(limit=1_000))
    for reason in ("asked for daily", "not now", "faster is welcome", "we have a bank", "not needed after all"):
        assert reason in told
