"""Spec 9.1, main loop on a real server: what one cycle does, remembers and leaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from activities import messages as m
from config.settings import RolloutSettings
from domain.approvals import Order
from domain.calls import CallRecord
from domain.cycles import CycleRecord, CycleStatus, Phase, PhaseStatus, Trigger
from domain.opportunities import OpportunityStatus, UpgradeOpportunity
from domain.routing import Route, VariantName
from domain.upgrades import UpgradeRecord, UpgradeStatus
from tests.workflows.world import CAPABILITY, World, made_world
from workflows.ids import upgrade_workflow_id

GOOD: dict[str, Any] = {"estimated_value": 1.0, "strategic_alignment": 1.0}
"""An opportunity with these estimates is good enough that nobody is asked, even when all places are taken."""


def told_of(world: World, subject: str) -> list[str]:
    """Return what the audit log says was done, in order."""
    return [entry.action for entry in world.context.store.audit.entries(subject=subject, limit=1_000)]


def write_slow_calls(world: World, number: int = 200) -> None:
    """Let agents have called the version that serves, and waited long for each answer."""
    now = datetime.now(UTC)
    world.context.store.calls.append(
        [
            CallRecord(
                call_id=f"slow-{index}",
                capability=CAPABILITY,
                method="add",
                variant=VariantName.CONTROL,
                version=world.control.id,
                caller=f"caller-{index % 20}",
                started_at=now - timedelta(seconds=60 + index),
                duration_ms=2_000.0,
            )
            for index in range(number)
        ]
    )


async def awaiting_approval(world: World, number: int = 1) -> list[UpgradeRecord]:
    """Wait until so many upgrades wait for a person, and return them."""

    def found() -> list[UpgradeRecord]:
        return world.context.store.upgrades.list(status=UpgradeStatus.AWAITING_APPROVAL)

    await world.until(lambda: len(found()) >= number)
    return found()


async def reject(world: World, capability: str = CAPABILITY) -> UpgradeRecord:
    """Say no to the upgrade that waits, and return its end."""
    handle = world.client.get_workflow_handle(upgrade_workflow_id(capability))
    await handle.signal("reject_upgrade", Order(actor="owner", reason="end of test"))
    return await ended(world, capability)


def phases_of(record: CycleRecord) -> dict[Phase, PhaseStatus]:
    return {phase.name: phase.status for phase in record.phases}


async def test_a_cycle_does_its_five_phases_in_order_and_remembers_each(world: World) -> None:
    handle = await world.start_cycle()
    record = await handle.result()
    assert record.status is CycleStatus.SUCCESS
    assert [phase.name for phase in record.phases] == list(Phase)
    assert all(phase.status is PhaseStatus.COMPLETE and phase.summary for phase in record.phases)
    moments = [moment for phase in record.phases for moment in (phase.started_at, phase.ended_at)]
    assert moments == sorted(moment for moment in moments if moment is not None)
    store = world.context.store
    assert store.cycles.get(record.id) == record
    assert await handle.query("status", result_type=CycleRecord) == record
    told = [f"phase.{phase}.{status}" for phase in Phase for status in ("running", "complete")]
    assert told_of(world, record.id) == ["cycle.started", *told, "cycle.success"]
    assert store.audit.verify().ok


async def test_what_a_cycle_finds_in_the_calls_of_agents_becomes_an_upgrade(still: World) -> None:
    write_slow_calls(still)
    record = await (await still.start_cycle()).result()
    assert record.status is CycleStatus.SUCCESS, record.error
    assert record.patterns >= 1
    assert record.opportunities >= 1
    (found,) = still.context.store.opportunities.list(capability=CAPABILITY)
    assert found.remedy is not None
    assert found.remedy.package == still.candidate
    assert found.remedy.replaces == still.control
    (decision,) = still.context.store.decisions.of(found.id)
    assert decision.approved
    (upgrade_id,) = record.upgrade_ids
    upgrade = UpgradeRecord.model_validate(still.context.store.upgrades.get(upgrade_id))
    assert (upgrade.cycle_id, upgrade.opportunity_id) == (record.id, found.id)
    await still.client.get_workflow_handle(upgrade_workflow_id(CAPABILITY)).terminate("end of test")


async def test_the_upgrade_of_a_cycle_outlives_it(still: World) -> None:
    opportunity = still.opportunity()
    cycle = await (await still.start_cycle()).result()
    assert cycle.status is CycleStatus.SUCCESS
    (waiting,) = await awaiting_approval(still)
    handle = still.client.get_workflow_handle(upgrade_workflow_id(CAPABILITY))
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    assert cycle.upgrade_ids == (waiting.id,)
    assert still.context.store.opportunities.get(opportunity.id).status is OpportunityStatus.SELECTED
    assert (await reject(still)).id == waiting.id


async def test_two_cycles_at_once_upgrade_a_capability_once(still: World) -> None:
    still.opportunity()
    cycles = [await still.start_cycle(), await still.start_cycle(Trigger.CAPABILITY_REQUESTED)]
    ended = await asyncio.gather(*(handle.result() for handle in cycles))
    assert {record.status for record in ended} == {CycleStatus.SUCCESS}
    (waiting,) = await awaiting_approval(still)
    assert [upgrade_id for record in ended for upgrade_id in record.upgrade_ids] == [waiting.id]
    assert [record.id for record in still.context.store.upgrades.list()] == [waiting.id]
    await reject(still)


async def test_a_capability_that_is_being_upgraded_gets_no_second_plan(still: World) -> None:
    still.opportunity()
    await (await still.start_cycle()).result()
    await awaiting_approval(still)
    better = still.opportunity(**GOOD)
    later = await (await still.start_cycle()).result()
    assert later.upgrade_ids == ()
    assert later.phases[3].summary == "nothing to do"
    assert still.context.store.opportunities.get(better.id).status is OpportunityStatus.OPEN
    await reject(still)


async def test_no_more_upgrades_than_allowed_act_at_once_whichever_cycle_started_them(
    skipping: WorkflowEnvironment, tmp_path: Path
) -> None:
    seen = threading.Event()
    async with made_world(skipping.client, tmp_path, capabilities=("letters",)) as world:
        world.traffic.fails = lambda stage, _: stage == "canary" and not seen.wait(25)
        store = world.context.store
        first = world.opportunity(CAPABILITY, **GOOD)
        await (await world.start_cycle()).result()
        await world.until(lambda: [slot.capability for slot in store.slots.held()] == [CAPABILITY])
        second = world.opportunity("letters", **GOOD)
        await (await world.start_cycle()).result()
        await world.until(lambda: bool(store.upgrades.list(status=UpgradeStatus.WAITING_FOR_SLOT)))
        await asyncio.sleep(0.5)
        assert [slot.capability for slot in store.slots.held()] == [CAPABILITY]
        assert [one.capability for one in store.upgrades.list(status=UpgradeStatus.WAITING_FOR_SLOT)] == ["letters"]
        seen.set()
        records = [await ended(world, capability) for capability in (CAPABILITY, "letters")]
        assert [record.opportunity_id for record in records] == [first.id, second.id]
        assert {record.status for record in records} == {UpgradeStatus.DEPLOYED}, [record.reason for record in records]
        assert records[0].cycle_id != records[1].cycle_id
        assert store.slots.held() == []


async def ended(world: World, capability: str) -> UpgradeRecord:
    """Return how the upgrade of a capability ended."""
    handle = world.client.get_workflow_handle(upgrade_workflow_id(capability), result_type=UpgradeRecord)
    return UpgradeRecord.model_validate(await handle.result())


@pytest.mark.parametrize(
    ("phase", "fields", "told"),
    [
        (Phase.DECISION, {"rollout": RolloutSettings(plan="nonsense")}, "There is no rollout plan 'nonsense'"),
        (Phase.VALIDATION, {}, f"served is not what is recorded as deployed: {CAPABILITY}"),
    ],
)
async def test_a_phase_that_fails_ends_the_cycle_with_a_reason_and_holds_nothing(
    skipping: WorkflowEnvironment, tmp_path: Path, phase: Phase, fields: dict[str, Any], told: str
) -> None:
    async with made_world(skipping.client, tmp_path, **fields) as world:
        opportunity = spoiled(world) if phase is Phase.VALIDATION else world.opportunity()
        handle = await world.start_cycle()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        store = world.context.store
        record = store.cycles.get(handle.id)
        assert record.status is CycleStatus.FAILED
        assert record.error.startswith(told)
        assert record.ended_at is not None
        assert phases_of(record) == expected_phases(phase)
        assert told_of(world, record.id)[-2:] == [f"phase.{phase}.failed", "cycle.failed"]
        assert store.slots.held() == []
        assert store.upgrades.list(status=UpgradeStatus.IMPLEMENTING) == []
        assert store.opportunities.get(opportunity.id).status is OpportunityStatus.OPEN
        assert store.audit.verify().ok


def spoiled(world: World) -> UpgradeOpportunity:
    """Let the records say that a version is deployed which does not serve, and return an idea nobody decides on."""
    store = world.context.store
    store.upgrades.put(
        UpgradeRecord(
            id="numbers-0.9.0-lost",
            cycle_id="cycle-0",
            opportunity_id="opportunity-0",
            capability=CAPABILITY,
            from_version=None,
            to_version="0.9.0",
            status=UpgradeStatus.DEPLOYED,
            risk=0.1,
            confidence=0.9,
            started_at=datetime.now(UTC),
        )
    )
    return world.opportunity(estimated_value=0.0)


def expected_phases(failed: Phase) -> dict[Phase, PhaseStatus]:
    """Return how the phases stand when one has failed."""
    before: Sequence[Phase] = list(Phase)[: list(Phase).index(failed)]
    return {
        **dict.fromkeys(Phase, PhaseStatus.PENDING),
        **dict.fromkeys(before, PhaseStatus.COMPLETE),
        failed: PhaseStatus.FAILED,
    }


async def test_a_capability_in_the_middle_of_an_upgrade_is_not_called_wrong(world: World) -> None:
    """Between the last stage of a rollout and its record the new version serves already."""
    store = world.context.store
    before = spoiled(world)
    record = store.upgrades.get("numbers-0.9.0-lost")
    store.upgrades.put(record.model_copy(update={"id": "numbers-1.0.0-now", "status": UpgradeStatus.ROLLING_OUT}))
    ended_cycle = await (await world.start_cycle()).result()
    assert ended_cycle.status is CycleStatus.SUCCESS
    assert store.opportunities.get(before.id).status is OpportunityStatus.OPEN


async def test_a_cancelled_cycle_says_so_in_its_record(still: World) -> None:
    async with asyncio.timeout(60):
        handle = await still.start_cycle()
        await still.until(lambda: still.context.store.cycles.find(handle.id) is not None)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    record = still.context.store.cycles.get(handle.id)
    assert record.status is CycleStatus.FAILED
    assert record.error == "cancelled"
    assert PhaseStatus.RUNNING not in phases_of(record).values()


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ({"trigger": "nonsense"}, "trigger"),
        ({"trigger": "manual", "speed": "high"}, "speed"),
        ("all of it", "CycleInput"),
    ],
)
async def test_a_cycle_started_with_nonsense_fails_with_the_field_named(still: World, start: object, told: str) -> None:
    handle = await still.client.start_workflow(
        "UpgradeCycle",
        start,
        id=f"cycle-{still.host}",
        task_queue=still.context.settings.temporal.task_queue,
        run_timeout=timedelta(seconds=60),
    )
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert told in str(failed.value.cause)
    assert still.context.store.cycles.list() == []


async def test_a_switched_off_rollout_leaves_every_idea_open(skipping: WorkflowEnvironment, tmp_path: Path) -> None:
    async with made_world(skipping.client, tmp_path, rollout=RolloutSettings(enabled=False)) as world:
        opportunity = world.opportunity(**GOOD)
        record = await (await world.start_cycle()).result()
        assert record.status is CycleStatus.SUCCESS
        assert record.upgrade_ids == ()
        assert world.context.store.opportunities.get(opportunity.id).status is OpportunityStatus.OPEN


async def test_a_route_that_changed_by_hand_is_found_by_the_next_cycle(world: World) -> None:
    plan = world.plan()
    assert (await (await world.start(plan)).result()).status is UpgradeStatus.DEPLOYED
    good = await (await world.start_cycle()).result()
    assert good.phases[-1].summary == "1 deployed upgrades serve as recorded."
    async with world.context.gateway() as gateway:
        await gateway.set_route(Route(capability=CAPABILITY, control=world.control))
    handle = await world.start_cycle()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert CAPABILITY in world.context.store.cycles.get(handle.id).error


def test_a_cycle_input_is_manual_unless_it_says_otherwise() -> None:
    assert m.CycleInput() == m.CycleInput(trigger=Trigger.MANUAL, host="local")
