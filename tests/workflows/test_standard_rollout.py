"""Spec 5.2, the standard plan: 312 hours on a real server that skips them, and the histories it leaves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.rollouts import StageStatus
from domain.upgrades import UpgradeStatus
from tests.workflows.recording import (
    Recorded,
    fails_in_stage_three,
    histories_of,
    recorded,
    replayer,
    standard_plan,
)
from tests.workflows.world import World

STAGES = ["internal_testing", "canary_5_percent", "gradual_expansion", "full_rollout"]


async def test_the_standard_plan_takes_312_hours_and_deploys_a_good_version(world: World) -> None:
    world.traffic.per_hour = 60
    plan = world.plan(rollout=standard_plan())
    record = await (await world.start(plan)).result()
    assert record.status is UpgradeStatus.DEPLOYED, record.reason
    assert [stage.name for stage in record.stages] == STAGES
    assert all(stage.status is StageStatus.PASSED for stage in record.stages)
    last = record.stages[-1].ended_at
    assert last is not None
    assert timedelta(hours=312) <= last - record.stages[0].started_at < timedelta(hours=330)
    await assert_replayable(world, plan.id)


async def test_the_standard_plan_is_rolled_back_by_a_gate_in_its_third_stage(world: World) -> None:
    world.traffic.per_hour = 60
    world.traffic.fails = fails_in_stage_three
    plan = world.plan(rollout=standard_plan())
    record = await (await world.start(plan)).result()
    assert record.status is UpgradeStatus.ROLLED_BACK
    assert [stage.name for stage in record.stages] == STAGES[:3]
    assert record.stages[-1].status is StageStatus.FAILED
    ended = record.stages[-1].ended_at
    assert ended is not None
    assert ended - record.stages[-1].started_at <= timedelta(hours=16)
    served = world.served()
    assert served is not None
    assert served.control == world.control
    await assert_replayable(world, plan.id)


async def assert_replayable(world: World, upgrade_id: str) -> None:
    for workflow_id in ("upgrade-numbers", f"rollout-{upgrade_id}", f"experiment-{upgrade_id}"):
        async for history in histories_of(world.client, workflow_id):
            result = await replayer().replay_workflow(history, raise_on_replay_failure=False)
            assert result.replay_failure is None


@pytest.mark.parametrize("run", list(recorded()), ids=lambda run: run.name)
async def test_a_recorded_history_replays_with_the_code_as_it_is(run: Recorded) -> None:
    result = await replayer().replay_workflow(run.history(), raise_on_replay_failure=False)
    assert result.replay_failure is None


def test_both_outcomes_of_the_standard_plan_are_recorded() -> None:
    kinds = {run.name.partition("-")[0] for run in recorded()}
    assert kinds == {"complete", "rolled_back"}
