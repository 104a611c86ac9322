"""Spec 9.1, upgrades on a real server: what one upgrade does, whatever happens to it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError

from activities import messages as m
from domain.approvals import Order
from domain.compensations import CompensationState, RollbackType
from domain.opportunities import OpportunityStatus
from domain.plugins import Standing
from domain.upgrades import StepType, UpgradePlan, UpgradeRecord, UpgradeStatus
from tests.workflows.world import CAPABILITY, World
from workflows.ids import rollback_workflow_id


def assert_nothing_is_left(world: World, plan: UpgradePlan) -> None:
    """The system is as it was before the upgrade, and the records say why."""
    store = world.context.store
    served = world.served()
    assert served is not None
    assert served.control == world.control
    assert served.candidate is None
    assert store.slots.held() == []
    assert store.packages.find(world.candidate.digest) is None
    assert world.context.folders.standing_of(world.candidate) in {None, Standing.DEPRECATED}
    assert all(action.state is CompensationState.DONE for action in store.compensations.of(plan.id))
    assert store.audit.verify().ok


async def test_a_better_version_is_deployed_and_every_step_is_remembered(world: World) -> None:
    plan = world.plan()
    record = await (await world.start(plan)).result()
    assert record.status is UpgradeStatus.DEPLOYED, record.reason
    assert list(record.steps) == list(StepType)
    served = world.served()
    assert served is not None
    assert served.control == world.candidate
    assert served.candidate is None
    store = world.context.store
    assert store.upgrades.get(plan.id) == record
    assert store.opportunities.get(plan.opportunity.id).status is OpportunityStatus.UPGRADED
    assert store.slots.held() == []
    assert world.context.folders.standing_of(world.candidate) is Standing.INSTALLED
    assert world.context.folders.standing_of(world.control) is Standing.DEPRECATED
    assert store.audit.verify().ok


async def test_a_version_that_a_gate_proves_bad_is_taken_back_whole(world: World) -> None:
    world.traffic.fails = lambda stage, number: stage == "everyone" and number % 3 == 0
    plan = world.plan()
    record = await (await world.start(plan)).result()
    assert record.status is UpgradeStatus.ROLLED_BACK
    assert "error_rate" in record.reason
    assert [stage.name for stage in record.stages] == ["canary", "everyone"]
    assert world.context.store.opportunities.get(plan.opportunity.id).status is OpportunityStatus.ROLLED_BACK
    assert_nothing_is_left(world, plan)


async def test_a_version_that_is_wrong_on_the_bench_meets_no_caller(world: World) -> None:
    package = world.context.registry
    assert package is not None
    plugin = package.folder_of(package.candidates(CAPABILITY)[0]) / "plugin.py"
    plugin.write_text(plugin.read_text().replace("a + b", "a - b"))
    plan = world.plan()
    record = await (await world.start(plan)).result()
    assert record.status is UpgradeStatus.FAILED
    assert record.stages == ()
    assert "digest" in record.reason
    assert_nothing_is_left(world, plan)


async def test_without_calls_no_stage_ends_and_a_person_is_asked(world: World) -> None:
    world.traffic.per_hour = 0
    plan = world.plan()
    handle = await world.start(plan)
    rollouts = world.context.store.rollouts

    def paused() -> bool:
        rollout = rollouts.find(f"rollout-{plan.id}")
        return rollout is not None and rollout.status == "paused"

    await world.until(paused)
    rollout = rollouts.get(f"rollout-{plan.id}")
    assert [stage.name for stage in rollout.stages] == ["canary"]
    await handle.execute_update("rollback_upgrade", Order(actor="owner", reason="nobody uses it"))
    record = await handle.result()
    assert record.status is UpgradeStatus.ROLLED_BACK
    assert record.reason == "nobody uses it"
    assert_nothing_is_left(world, plan)


async def test_silence_is_no(world: World) -> None:
    plan = world.plan(needs_approval=True, approval_timeout=timedelta(hours=72))
    record = await (await world.start(plan)).result()
    assert record.status is UpgradeStatus.REJECTED
    assert "nobody answered" in record.reason
    assert world.context.store.compensations.of(plan.id) == []
    assert world.context.store.approvals.of(plan.id)[0].verdict == "expired"


async def awaiting(world: World, plan: UpgradePlan) -> None:
    def waits() -> bool:
        record = world.context.store.upgrades.find(plan.id)
        return record is not None and record.status is UpgradeStatus.AWAITING_APPROVAL

    await world.until(waits)


async def test_an_approval_by_update_lets_the_upgrade_go_on(still: World) -> None:
    plan = still.plan(needs_approval=True)
    handle = await still.start(plan)
    await awaiting(still, plan)
    await handle.execute_update("approve_upgrade", Order(actor="petra", reason="looks good"))
    await still.until(lambda: still.context.store.upgrades.get(plan.id).approved_by == "petra")
    await handle.execute_update("rollback_upgrade", Order(actor="owner", reason="enough seen"))
    assert (await handle.result()).reason == "enough seen"


async def test_a_rejection_by_signal_ends_the_upgrade_before_it_begins(still: World) -> None:
    plan = still.plan(needs_approval=True)
    handle = await still.start(plan)
    await awaiting(still, plan)
    await handle.signal("reject_upgrade", {"actor": "petra", "reason": "not now"})
    record = await handle.result()
    assert record.status is UpgradeStatus.REJECTED
    assert record.reason == "not now"
    assert still.context.store.opportunities.get(plan.opportunity.id).status is OpportunityStatus.REJECTED


@pytest.mark.parametrize(
    ("order", "told"),
    [
        (Order(actor="olga", reason="please"), "observer"),
        (Order(actor="mallory", reason="please"), "no role"),
        (Order(actor="", reason="please"), "who orders it"),
    ],
)
async def test_an_order_by_somebody_who_may_not_give_it_changes_nothing(still: World, order: Order, told: str) -> None:
    plan = still.plan(needs_approval=True)
    handle = await still.start(plan)
    await awaiting(still, plan)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("approve_upgrade", order)
    assert told in str(refused.value.cause)
    await handle.signal("approve_upgrade", order)
    await handle.signal("approve_upgrade", {"actor": 7})
    assert (await handle.query("status", result_type=UpgradeRecord)).status is UpgradeStatus.AWAITING_APPROVAL
    await handle.signal("reject_upgrade", {"actor": "owner", "reason": "end of test"})
    assert (await handle.result()).reason == "end of test"


async def test_a_cancelled_upgrade_is_taken_back(world: World) -> None:
    world.traffic.per_hour = 0
    plan = world.plan()
    handle = await world.start(plan)
    await world.until(lambda: world.traffic.looks > 0)
    await handle.cancel()
    record = await handle.result()
    assert record.status is UpgradeStatus.ROLLED_BACK
    assert record.reason == "cancelled"
    assert_nothing_is_left(world, plan)


async def test_a_terminated_upgrade_is_taken_back_by_the_janitor(world: World) -> None:
    world.traffic.per_hour = 0
    plan = world.plan()
    handle = await world.start(plan)
    await world.until(lambda: world.traffic.looks > 0)
    await handle.terminate("somebody pulled the plug")
    swept = await world.client.execute_workflow(
        "Janitor",
        m.SweepInput(host=world.host),
        id=f"janitor-{world.host}",
        task_queue=world.context.settings.temporal.task_queue,
        result_type=m.Swept,
    )
    assert swept.orphans == (plan.id,)
    assert world.context.store.upgrades.get(plan.id).status is UpgradeStatus.ROLLED_BACK
    assert_nothing_is_left(world, plan)


async def test_a_second_upgrade_of_the_same_opportunity_does_nothing(world: World) -> None:
    plan = world.plan()
    first = await (await world.start(plan)).result()
    again = await (await world.start(plan.model_copy(update={"id": "numbers-again"}))).result()
    assert first.status is UpgradeStatus.DEPLOYED
    assert again.status is UpgradeStatus.REJECTED
    assert "upgraded" in again.reason
    assert world.context.store.upgrades.find("numbers-again") is None


@pytest.mark.parametrize("kind", [RollbackType.FULL, RollbackType.COMPENSATING, RollbackType.GRADUAL])
async def test_a_finished_upgrade_can_be_rolled_back(world: World, kind: RollbackType) -> None:
    plan = world.plan()
    assert (await (await world.start(plan)).result()).status is UpgradeStatus.DEPLOYED
    ended = await rolled_back(world, m.RollbackInput(upgrade_id=plan.id, type=kind, reason="regret", actor="owner"))
    assert ended.status is UpgradeStatus.ROLLED_BACK
    assert ended.result.compensation.failed == 0
    record = world.context.store.upgrades.get(plan.id)
    assert record.rollback == ended.result
    served = world.served()
    assert served is not None
    assert served.control == world.control


async def test_a_rollback_is_refused_to_who_may_not_order_it_and_for_what_is_over(world: World) -> None:
    plan = world.plan()
    await (await world.start(plan)).result()
    with pytest.raises(WorkflowFailureError) as refused:
        await rolled_back(world, m.RollbackInput(upgrade_id=plan.id, actor="olga"))
    assert "observer" in str(refused.value.cause)
    await rolled_back(world, m.RollbackInput(upgrade_id=plan.id, actor="owner"))
    with pytest.raises(WorkflowFailureError) as over:
        await rolled_back(world, m.RollbackInput(upgrade_id=plan.id, actor="owner"))
    assert "final" in str(over.value.cause)


async def rolled_back(world: World, order: m.RollbackInput) -> m.TakenBack:
    ended: m.TakenBack = await world.client.execute_workflow(
        "Rollback",
        order,
        id=rollback_workflow_id(order.upgrade_id),
        task_queue=world.context.settings.temporal.task_queue,
        result_type=m.TakenBack,
    )
    return ended
