"""How a candidate comes into service in an upgrade: each loading strategy, through a real gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
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
from domain.compensations import CompensatingAction, CompensationKind
from domain.errors import PluginRegistrationFailed
from domain.plugins import LoadingStrategy, PluginState, Standing
from domain.rollouts import Rollout, RolloutConfiguration, RolloutStatus
from domain.routing import PluginVersion, Route
from tests.gateway.factories import Running, house, until
from tests.plugins.factories import ADD, a_manifest, add_package, numbers_plugin, write_package
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
