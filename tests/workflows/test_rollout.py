"""Spec 5.1, orders to a running rollout on a real server: who may give them, when they make sense, what they do."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from activities import messages as m
from domain.approvals import Order
from domain.rollouts import Rollout, RolloutResult, RolloutStatus, StageStatus
from tests.workflows.world import CAPABILITY, World, made_world, shared_plan
from workflows.ids import rollout_workflow_id

OWNER = Order(actor="owner", reason="because")
Handle = WorkflowHandle[Any, RolloutResult]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def here(ticking: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One world for all tests here; each leaves the route as it found it."""
    async with made_world(ticking.client, tmp_path_factory.mktemp("rollouts")) as world:
        world.traffic.per_hour = 0
        registry = world.context.registry
        assert registry is not None
        world.context.packages.add(registry.folder_of(registry.candidates(CAPABILITY)[0]))
        yield world


def new_rollout(world: World, **fields: Any) -> Rollout:
    upgrade_id = f"upgrade-{uuid.uuid4().hex[:8]}"
    return Rollout(
        id=rollout_workflow_id(upgrade_id),
        upgrade_id=upgrade_id,
        capability=CAPABILITY,
        control=world.control,
        candidate=world.candidate,
        plan=shared_plan(**fields),
        status=RolloutStatus.PENDING,
        host=world.host,
    )


async def begin(world: World, rollout: Rollout) -> Handle:
    return await world.client.start_workflow(
        "Rollout",
        m.RolloutInput(rollout=rollout),
        id=rollout.id,
        task_queue=world.context.settings.temporal.task_queue,
        result_type=RolloutResult,
    )


async def running(world: World, **fields: Any) -> Handle:
    """Start a rollout and wait until it looks at its first stage."""
    rollout = new_rollout(world, **fields)
    looks = world.context.store.gate_log
    handle = await begin(world, rollout)
    await world.until(lambda: bool(looks.of(rollout.id)))
    return handle


async def abort(handle: Handle) -> RolloutResult:
    await handle.execute_update("abort", OWNER, result_type=str)
    return await handle.result()


async def view(handle: Handle) -> m.RolloutView:
    return m.RolloutView.model_validate(await handle.query("status", result_type=m.RolloutView))


async def refused(handle: Handle, name: str, order: object) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await handle.execute_update(name, order)
    return str(failed.value.cause)


def stored(world: World, handle: Handle) -> RolloutStatus:
    return world.context.store.rollouts.get(handle.id).status


async def test_a_rollout_is_paused_and_resumed_and_the_store_knows(here: World) -> None:
    handle = await running(here)
    assert "paused" not in stored(here, handle)
    answer = await handle.execute_update("pause", Order(actor="owner", reason="lunch"), result_type=str)
    assert answer == "pause by owner taken."
    paused = await view(handle)
    assert (paused.rollout.status, paused.rollout.reason) == (RolloutStatus.PAUSED, "pause by owner: lunch")
    await here.until(lambda: stored(here, handle) is RolloutStatus.PAUSED)
    await handle.signal("resume", OWNER)
    await here.until(lambda: stored(here, handle) is RolloutStatus.RUNNING)
    assert [stage.status for stage in (await view(handle)).rollout.stages] == [StageStatus.RUNNING]
    ended = await abort(handle)
    assert ended.status is RolloutStatus.ROLLED_BACK
    assert "rollback_upgrade by owner: because" in ended.reason
    assert ended.stages[-1].status is StageStatus.FAILED


async def test_an_aborted_rollout_leaves_no_call_to_the_candidate(here: World) -> None:
    handle = await running(here)
    route = here.served()
    assert route is not None
    assert (route.candidate, route.share) == (here.candidate, 0.2)
    await abort(handle)
    after = here.served()
    assert after is not None
    assert (after.control, after.share) == (here.control, 0.0)


async def test_orders_that_make_no_sense_now_are_refused_and_say_why(here: World) -> None:
    handle = await running(here)
    assert await refused(handle, "resume", OWNER) == f"OrderRefused: {handle.id} is not paused; it is running."
    await handle.execute_update("pause", OWNER)
    assert await refused(handle, "pause", OWNER) == f"OrderRefused: {handle.id} is paused already."
    await abort(handle)


@pytest.mark.parametrize("name", ["pause", "promote", "abort"])
@pytest.mark.parametrize(
    ("order", "told"),
    [
        (Order(actor="olga", reason="please"), "olga is observer and may not"),
        (Order(actor="petra", reason="please"), "petra is approver and may not"),
        (Order(actor="mallory", reason="please"), "mallory has no role here"),
        (Order(actor=" ", reason="please"), "needs to know who orders it"),
        ({"actor": 7}, "actor"),
        ({"who": "owner"}, "who"),
        ("owner", "Order"),
    ],
    ids=["observer", "approver", "stranger", "nobody", "number", "unknown-field", "text"],
)
async def test_wrong_orders_change_nothing_and_are_told(
    here: World, steady: Handle, name: str, order: object, told: str
) -> None:
    before = (await view(steady)).rollout
    assert told in await refused(steady, name, order)
    assert (await view(steady)).rollout == before


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def steady(here: World) -> AsyncIterator[Handle]:
    """A rollout that nothing happens to."""
    handle = await running(here)
    yield handle
    await abort(handle)


async def test_a_refused_order_is_in_the_audit_log_as_well_as_a_taken_one(here: World, steady: Handle) -> None:
    await refused(steady, "pause", Order(actor="olga", reason="please"))
    entries = [
        entry
        for entry in here.context.store.audit.entries(subject=steady.id, limit=1_000)
        if entry.actor == "olga" and entry.action == "order.refused"
    ]
    assert entries
    assert "observer" in str(entries[-1].detail["refusal"])


async def test_signals_that_cannot_be_read_are_noted_and_do_nothing(here: World) -> None:
    handle = await running(here)
    for payload in ({"actor": 7}, "text", {"actor": "olga"}, {}):
        await handle.signal("pause", payload)
    await handle.signal("pause")
    assert (await view(handle)).rollout.status is RolloutStatus.RUNNING
    assert (await abort(handle)).status is RolloutStatus.ROLLED_BACK


async def test_an_order_repeated_with_its_request_id_counts_once(here: World) -> None:
    handle = await running(here)
    once = Order(actor="owner", reason="lunch", request_id="r1")
    assert await handle.execute_update("pause", once, result_type=str) == "pause by owner taken."
    await handle.execute_update("resume", OWNER)
    assert await handle.execute_update("pause", once, result_type=str) == "pause was already taken."
    await handle.signal("pause", once)
    assert (await view(handle)).rollout.status is RolloutStatus.RUNNING
    await abort(handle)


async def test_an_order_given_before_the_first_stage_runs_is_not_lost(here: World) -> None:
    rollout = new_rollout(here)
    handle = await begin(here, rollout)
    await handle.signal("pause", OWNER)
    await here.until(lambda: here.context.store.rollouts.find(rollout.id) is not None)
    await here.until(lambda: stored(here, handle) is RolloutStatus.PAUSED)
    await handle.execute_update("resume", OWNER)
    await here.until(lambda: stored(here, handle) is RolloutStatus.RUNNING)
    await abort(handle)


async def test_an_abort_given_before_the_first_stage_runs_is_not_lost(here: World) -> None:
    rollout = new_rollout(here)
    handle = await begin(here, rollout)
    await handle.signal("abort", OWNER)
    async with asyncio.timeout(90):
        ended = await handle.result()
    assert ended.status is RolloutStatus.ROLLED_BACK
    assert "because" in ended.reason


async def test_a_rollout_that_was_paused_while_its_gates_were_read_does_not_advance(
    skipping: WorkflowEnvironment, tmp_path: Path
) -> None:
    """The look says that the stage has passed; the pause that came meanwhile wins."""
    reading, paused = threading.Event(), threading.Event()

    def hold(_stage: str, number: int) -> bool:
        if number == 0:
            reading.set()
            paused.wait(25)
        return False

    async with made_world(skipping.client, tmp_path) as world:
        registry = world.context.registry
        assert registry is not None
        world.context.packages.add(registry.folder_of(registry.candidates(CAPABILITY)[0]))
        world.traffic.fails = hold
        handle = await begin(world, new_rollout(world))
        await world.until(reading.is_set)
        await handle.execute_update("pause", OWNER)
        paused.set()
        await world.until(lambda: stored(world, handle) is RolloutStatus.PAUSED)
        assert [stage.name for stage in (await view(handle)).rollout.stages] == ["canary"]
        await handle.execute_update("resume", OWNER)
        ended = await handle.result()
        assert (ended.status, len(ended.stages)) == (RolloutStatus.COMPLETE, 2)


async def test_a_stage_that_asks_for_a_person_waits_for_promote(skipping: WorkflowEnvironment, tmp_path: Path) -> None:
    async with made_world(skipping.client, tmp_path) as world:
        registry = world.context.registry
        assert registry is not None
        world.context.packages.add(registry.folder_of(registry.candidates(CAPABILITY)[0]))
        canary, everyone = shared_plan().stages
        asked = canary.model_copy(update={"requires_approval": True})
        handle = await begin(world, new_rollout(world, stages=(asked, everyone)))
        await world.until(
            lambda: any(look.decision.needs_approval for look in world.context.store.gate_log.of(handle.id))
        )
        assert [stage.name for stage in (await view(handle)).rollout.stages] == ["canary"]
        await handle.execute_update("promote", OWNER)
        assert (await handle.result()).status is RolloutStatus.COMPLETE
