"""How a candidate comes into service in an upgrade: each loading strategy, through a real gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities import messages as m
from activities.compensations import CompensationActivities
from activities.context import Context
from activities.rollouts import RolloutActivities
from config.settings import AgentSettings
from domain.calls import CallRecord, ErrorKind
from domain.compensations import CompensatingAction, CompensationKind
from domain.errors import PluginRegistrationFailed
from domain.plugins import LoadingStrategy, PluginState, Standing
from domain.rollouts import (
    GateVerdict,
    Rollout,
    RolloutAction,
    RolloutConfiguration,
    RolloutDecision,
    RolloutStatus,
    StageState,
)
from domain.routing import HashId, PluginVersion, Route
from gateway.admin_client import remove_address
from tests.gateway.factories import Running, house, until
from tests.plugins.factories import ADD, a_manifest, a_tool, add_package, numbers_plugin, write_package
from worker.main import built_context

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STAGE = {"name": "everyone", "traffic_percentage": 100, "duration": "PT1H"}
PLAN = RolloutConfiguration.model_validate({"name": "at once", "stages": [STAGE]})
ALONE = """
import os

def begin():
    os.mkdir(os.environ["CALCULATOR_PLACE"])

def end():
    os.rmdir(os.environ["CALCULATOR_PLACE"])
"""
"""A plugin of which only one can live: it holds a place for as long as it runs."""


@dataclass
class Place:
    """A running gateway, and the activities that change it."""

    context: Context
    running: Running
    root: Path

    @property
    def rollouts(self) -> RolloutActivities:
        return RolloutActivities(self.context)

    def plugin(self, version: str, *, alone: bool = False, head: str = "", **fields: Any) -> PluginVersion:
        """Put a package into the home, as an upgrade that has fetched it does."""
        if alone:
            head = ALONE + head
            fields |= {
                "hot_swap_safe": False,
                "lifecycle_hooks": {"on_start": "begin", "on_stop": "end"},
                "resource_requirements": {"spares": 0},
                "security_profile": {"environment": ["CALCULATOR_PLACE"], "write_paths": [str(self.root)]},
            }
        manifest = a_manifest(ADD, version=version, **fields)
        folder = self.root / "registry" / "packages" / "calculator" / version
        write_package(folder, manifest, numbers_plugin("def add(self, a, b): return {'sum': a + b}", head))
        added = add_package(self.context.packages, folder)
        self.context.store.packages.put(self.context.packages.get(added.digest), NOW)
        return added

    async def route(self) -> Route | None:
        return (await self.running.admin.status()).table.routes.get("numbers")

    async def states(self) -> dict[str, PluginState]:
        return {one.version.version: one.state for one in (await self.running.admin.status()).versions}

    async def probe(self, version: PluginVersion) -> bool:
        return (await self.running.admin.probe(version, "numbers", "add", {"a": 1, "b": 2})).ok


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setenv("CALCULATOR_PLACE", str(tmp_path / "place"))
    built = house(tmp_path, warm_hold_seconds=30)
    security = built.settings.security.model_copy(update={"environment": ("CALCULATOR_PLACE",)})
    built = replace(built, settings=built.settings.model_copy(update={"security": security}))
    settings = built.settings.model_copy(update={"agent": AgentSettings(registry=tmp_path / "registry")})
    nobody = cast("Client", None)  # these activities speak to no Temporal service
    with built_context(built.home, settings, nobody) as context:
        async with built.running() as running:
            yield Place(context, running, tmp_path)


def rollout(control: PluginVersion | None, candidate: PluginVersion, strategy: LoadingStrategy) -> Rollout:
    return Rollout(
        id="rollout-up-1",
        upgrade_id="up-1",
        capability="numbers",
        control=control,
        candidate=candidate,
        plan=PLAN,
        status=RolloutStatus.RUNNING,
        strategy=strategy,
    )


async def done(activity: Callable[[Any], Awaitable[Any]], message: Any) -> Any:
    """Run an activity as a worker would."""
    return await ActivityEnvironment().run(activity, message)


async def first_stage(place: Place, subject: Rollout) -> None:
    place.context.store.rollouts.put(subject)
    await done(place.rollouts.activate_stage, m.StageInput(rollout=subject, index=0, at=NOW))


async def test_a_hot_swap_makes_the_candidate_the_control_at_once(place: Place) -> None:
    old, new = place.plugin("1.0.0"), place.plugin("1.1.0")
    await place.running.admin.set_route(Route(capability="numbers", control=old))
    await first_stage(place, rollout(old, new, LoadingStrategy.HOT_SWAP))
    assert await place.route() == Route(capability="numbers", control=new)
    assert await place.probe(old), "held warm, so that it can come back at once"


async def test_blue_green_gives_the_candidate_everyone_and_keeps_the_old_version_whole(place: Place) -> None:
    old, new = place.plugin("1.0.0"), place.plugin("1.1.0")
    await place.running.admin.set_route(Route(capability="numbers", control=old))
    subject = rollout(old, new, LoadingStrategy.BLUE_GREEN)
    await first_stage(place, subject)
    standing = await place.route()
    assert standing is not None
    assert (standing.control, standing.candidate, standing.share) == (old, new, 1.0)
    await done(place.rollouts.set_share, m.ShareChange(upgrade_id="up-1", share=0.0, at=NOW))
    back = await place.route()
    assert back is not None
    assert (back.control, back.share) == (old, 0.0)


async def test_a_version_that_must_be_alone_starts_when_the_old_one_has_ended(place: Place) -> None:
    old, new = place.plugin("1.0.0", alone=True), place.plugin("1.1.0", alone=True)
    await place.running.admin.set_route(Route(capability="numbers", control=old))
    subject = rollout(old, new, LoadingStrategy.STANDARD)
    await first_stage(place, subject)
    assert await place.route() == Route(capability="numbers", control=new)
    assert await place.states() == {"1.1.0": PluginState.WARM}
    assert await place.probe(new)
    assert place.context.folders.standing_of(new) is Standing.EXPERIMENTAL
    told = [entry.action for entry in place.context.store.audit.entries(subject="up-1")]
    assert told == ["plugin.registered"]
    await done(place.rollouts.finish_rollout, m.RolloutReport(rollout=subject, action="rollout.finished", at=NOW))
    assert await place.route() == Route(capability="numbers", control=new)
    assert place.context.folders.standing_of(new) is Standing.INSTALLED


async def test_the_same_stage_again_changes_nothing(place: Place) -> None:
    old, new = place.plugin("1.0.0", alone=True), place.plugin("1.1.0", alone=True)
    await place.running.admin.set_route(Route(capability="numbers", control=old))
    for _ in range(2):
        await first_stage(place, rollout(old, new, LoadingStrategy.STANDARD))
    assert await place.states() == {"1.1.0": PluginState.WARM}


async def test_one_that_must_be_alone_is_taken_back_by_ending_it_first(place: Place) -> None:
    old, new = place.plugin("1.0.0", alone=True), place.plugin("1.1.0", alone=True)
    await place.running.admin.set_route(Route(capability="numbers", control=old))
    await first_stage(place, rollout(old, new, LoadingStrategy.STANDARD))
    await done(place.rollouts.set_share, m.ShareChange(upgrade_id="up-1", share=0.0, at=NOW))
    assert await place.route() == Route(capability="numbers", control=old)
    assert await place.states() == {"1.0.0": PluginState.WARM}
    assert await place.probe(old)


async def test_a_deployed_one_that_must_be_alone_is_rolled_back_by_the_same_way(place: Place) -> None:
    old, new = place.plugin("1.0.0", alone=True), place.plugin("1.1.0", alone=True)
    await place.running.admin.set_route(Route(capability="numbers", control=old))
    compensations = CompensationActivities(place.context)
    written = m.CompensationInput(
        upgrade_id="up-1",
        step="rollout",
        kind=CompensationKind.RESTORE_ROUTE,
        arguments={"capability": "numbers"},
        at=NOW,
    )
    action: CompensatingAction = await asyncio.to_thread(compensations.register_compensation, written)
    await first_stage(place, rollout(old, new, LoadingStrategy.STANDARD))
    ended = await done(compensations.run_compensation, m.CompensationRun(action=action, at=NOW))
    assert ended.success, ended.error
    assert await place.route() == Route(capability="numbers", control=old)
    assert await place.states() == {"1.0.0": PluginState.WARM}


async def test_one_that_must_be_alone_and_does_not_come_up_gives_the_old_one_back(place: Place) -> None:
    old = place.plugin("1.0.0", alone=True)
    broken = place.plugin("1.1.0", alone=True, head="\nraise ImportError('no')\n")
    await place.running.admin.set_route(Route(capability="numbers", control=old))
    with pytest.raises(PluginRegistrationFailed, match="could not be loaded"):
        await first_stage(place, rollout(old, broken, LoadingStrategy.STANDARD))
    assert await place.route() == Route(capability="numbers", control=old)
    await until(lambda: place.probe(old))


# What a stage is judged from


def called(version: PluginVersion, hours: float, caller: str = "someone", **fields: Any) -> CallRecord:
    return CallRecord(
        call_id=f"{version.id}-{hours}-{caller}",
        capability="numbers",
        method="add",
        version=version.id,
        caller=caller,
        started_at=NOW + timedelta(hours=hours),
        duration_ms=5.0,
        **fields,
    )


def canary(old: PluginVersion, new: PluginVersion, **gate: Any) -> Rollout:
    gates = [{"metric": "error_rate", "threshold": 0.05, "evaluation_window": "PT1H", **gate}]
    first = {"name": "some", "traffic_percentage": 25, "duration": "PT48H", "gates": gates}
    second = {"name": "many", "traffic_percentage": 50, "duration": "PT1H"}
    plan = RolloutConfiguration.model_validate({"name": "slow", "stages": [first, second, STAGE]})
    return rollout(old, new, LoadingStrategy.CANARY).model_copy(update={"plan": plan})


async def judged(place: Place, subject: Rollout, hours: float) -> RolloutDecision:
    message = m.JudgeInput(rollout=subject, state=StageState(index=0, started_at=NOW), at=NOW + timedelta(hours=hours))
    decision: RolloutDecision = await done(place.rollouts.judge_stage, message)
    return decision


async def test_few_callers_are_ranked_when_the_first_stage_begins_and_keep_their_ranks(place: Place) -> None:
    old, new = place.plugin("1.0.0"), place.plugin("1.1.0")
    await place.running.admin.set_route(Route(capability="numbers", control=old))
    subject, calls = canary(old, new), place.context.store.calls
    calls.append([called(old, -hours, caller) for hours, caller in ((1, "anna"), (2, "ben"), (30 * 24 + 1, "gone"))])
    await first_stage(place, subject)
    first = await place.route()
    calls.append([called(new, 1, "cora")])
    await done(place.rollouts.activate_stage, m.StageInput(rollout=subject, index=1, at=NOW + timedelta(hours=2)))
    second = await place.route()
    assert first is not None
    assert second is not None
    assert set(first.population) == {"anna", "ben"}
    assert (second.population, second.share) == (first.population, 0.5)


async def test_a_plan_that_places_as_another_product_does_ranks_nobody(place: Place) -> None:
    old, new = place.plugin("1.0.0"), place.plugin("1.1.0")
    await place.running.admin.set_route(Route(capability="numbers", control=old))
    place.context.store.calls.append([called(old, -1, "anna")])
    subject = canary(old, new)
    plan = subject.plan.model_copy(update={"hash_id": HashId.GROWTHBOOK})
    await first_stage(place, subject.model_copy(update={"plan": plan}))
    route = await place.route()
    assert route is not None
    assert (route.hash_id, route.population) == (HashId.GROWTHBOOK, ())


async def test_a_late_decay_is_seen_because_the_ledger_is_counted_slice_by_slice(place: Place) -> None:
    old, new = place.plugin("1.0.0"), place.plugin("1.1.0")
    sound = [called(new, minute / 30) for minute in range(1, 1_200)]
    decayed = [called(new, 40 + n / 30, error=ErrorKind.TOOL_ERROR if n % 3 == 0 else None) for n in range(1, 60)]
    place.context.store.calls.append(sound)
    assert (await judged(place, canary(old, new), 40)).action is RolloutAction.HOLD
    place.context.store.calls.append(decayed)
    found = await judged(place, canary(old, new), 42)
    assert found.action is RolloutAction.ROLLBACK
    assert "evidence of harm from some time on" in found.reason
    assert (found.evaluations[0].n, found.evaluations[0].bad) == (1_258, 19)


async def test_a_candidate_may_be_judged_against_its_control(place: Place) -> None:
    old, new = place.plugin("1.0.0"), place.plugin("1.1.0")
    failed = {"error": ErrorKind.TOOL_ERROR}
    place.context.store.calls.append(
        [called(old, n / 100, "others", **(failed if n % 4 == 0 else {})) for n in range(900)]
    )
    place.context.store.calls.append([called(new, n / 30, **(failed if n % 3 == 0 else {})) for n in range(300)])
    relative = canary(old, new, condition="relative_to_control", threshold=2)
    assert (await judged(place, relative, 10)).action is RolloutAction.HOLD
    assert (await judged(place, canary(old, new), 10)).action is RolloutAction.ROLLBACK


async def test_slow_calls_are_counted_for_each_gate_of_latency(place: Place) -> None:
    old, new = place.plugin("1.0.0"), place.plugin("1.1.0")
    slow = [called(new, n / 10, "slow").model_copy(update={"duration_ms": 900.0}) for n in range(5)]
    place.context.store.calls.append([*slow, *(called(new, n / 10) for n in range(200))])
    strict = await judged(place, canary(old, new, metric="latency_p99", threshold=500), 21)
    loose = await judged(place, canary(old, new, metric="latency_p99", threshold=1_000), 21)
    assert (strict.evaluations[0].n, strict.evaluations[0].bad) == (205, 5)
    assert loose.evaluations[0].bad == 0


async def test_a_stage_without_gates_passes_on_calls_and_not_on_silence(place: Place) -> None:
    old, new = place.plugin("1.0.0"), place.plugin("1.1.0")
    plan = RolloutConfiguration.model_validate({"name": "open", "stages": [{**STAGE, "duration": "PT2H"}]})
    subject = canary(old, new).model_copy(update={"plan": plan})
    place.context.store.calls.append([called(old, 1)])
    assert (await judged(place, subject, 2)).action is RolloutAction.HOLD
    place.context.store.calls.append([called(new, 1)])
    assert (await judged(place, subject, 2)).action is RolloutAction.ADVANCE


async def test_a_gateway_that_is_down_makes_blind(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = place.plugin("1.0.0"), place.plugin("1.1.0")
    place.context.store.calls.append([called(new, n / 10) for n in range(200)])
    assert (await judged(place, canary(old, new), 21)).evaluations[0].verdict is GateVerdict.PROVED_GOOD
    remove_address(place.running.home)
    assert (await judged(place, canary(old, new), 21)).evaluations[0].verdict is GateVerdict.BLIND


async def test_a_candidate_in_quarantine_goes_whatever_was_counted(place: Place) -> None:
    old = place.plugin("1.0.0")
    manifest = a_manifest(a_tool("add"), version="1.1.0")
    folder = write_package(place.root / "deadly", manifest, numbers_plugin("def add(self): import os; os._exit(1)"))
    new = add_package(place.context.packages, folder)
    await place.running.admin.set_route(Route(capability="numbers", control=old, candidate=new, share=0.5, salt="s"))
    while (await place.states())["1.1.0"] is not PluginState.QUARANTINED:
        await place.running.admin.probe(new, "numbers", "add", {})
    found = await judged(place, canary(old, new), 1)
    assert found.action is RolloutAction.ROLLBACK
    assert "calculator@1.1.0 is in quarantine" in found.reason
