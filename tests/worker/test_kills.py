"""Architecture 1, what dies in between: every started upgrade ends in exactly one recorded outcome."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from domain.compensations import CompensationState
from domain.upgrades import OUTCOMES, UpgradeRecord, UpgradeStatus
from examples.agent.users import Users
from tests.worker.running import Running, running

POINTS = (
    (UpgradeStatus.IMPLEMENTING, 0),
    (UpgradeStatus.ROLLING_OUT, 1),
    (UpgradeStatus.ROLLING_OUT, 2),
)
"""Where inside an upgrade something is killed: its state, and the stage its rollout has reached."""


def reached(world: Running, status: UpgradeStatus, stage: int) -> bool:
    for record in world.store.upgrades.list():
        rollout = world.store.rollouts.find(f"rollout-{record.id}")
        stages = len(rollout.stages) if rollout else 0
        if record.status is status and stages >= stage:
            return True
    return all_ended(world)


def all_ended(world: Running) -> bool:
    records = world.store.upgrades.list()
    return len(records) >= 3 and all(record.status in OUTCOMES for record in records)


def assert_told_once(world: Running, record: UpgradeRecord) -> None:
    """The audit chain tells each step and each ending of an upgrade once."""
    actions = Counter(entry.action for entry in world.store.audit.entries(subject=record.id, limit=1_000))
    repeated = {action: times for action, times in actions.items() if times > 1 and action.startswith("step.")}
    assert repeated == {}
    endings = [f"upgrade.{status}" for status in OUTCOMES if actions[f"upgrade.{status}"]]
    assert endings == [f"upgrade.{record.status}"]
    assert actions[endings[0]] == 1


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_killed_parts_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    approve_all = {"UPGRADE_LOOP_DECISION__AUTO_APPROVE_THRESHOLD": "0.7"}
    with running(tmp_path / "home", environment=approve_all) as world:
        users = Users(world.addresses["gateway"], seed=3, calls_per_second=50)
        await users.start()
        await asyncio.sleep(8)
        triggered = await asyncio.to_thread(world.command, "cycle", "trigger", "--json")
        cycle_id = json.loads(triggered.stdout)["id"]
        for status, stage in POINTS:
            await asyncio.to_thread(world.until, partial(reached, world, status, stage), 120)
            for part in ("worker", "gateway", "temporal"):
                await asyncio.to_thread(world.kill, part)
        await asyncio.to_thread(world.until, partial(all_ended, world), 150)
        report = await users.stop()

        cycle = world.store.cycles.get(cycle_id)
        assert cycle.status == "success"
        records = world.store.upgrades.list()
        assert {record.status for record in records} <= {UpgradeStatus.DEPLOYED, UpgradeStatus.ROLLED_BACK}
        for record in records:
            assert_told_once(world, record)
            states = {action.state for action in world.store.compensations.of(record.id)}
            wanted = (
                CompensationState.DONE if record.status is UpgradeStatus.ROLLED_BACK else CompensationState.REGISTERED
            )
            assert states == {wanted}
            route = world.store.routes.load().routes.get(record.capability)
            assert route is not None
            assert route.candidate is None
            assert route.control is not None
            served = record.to_version if record.status is UpgradeStatus.DEPLOYED else record.from_version
            assert route.control.version == served
        assert world.store.audit.verify().ok
        assert world.store.slots.held() == []
        assert report.failed == 0, report.failures
