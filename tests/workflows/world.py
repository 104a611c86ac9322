"""A small real world for tests: Temporal, a gateway, two versions of each plugin, a registry.

Everything is real but time and traffic: a server may skip timers, and `Traffic` writes ledger rows at the workflow's
own time, as a gateway would have, before each look at a gate. A place is the same without Temporal's workers, for
tests that run an activity alone.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from activities import messages as m
from activities.context import Context
from activities.rollouts import RolloutActivities
from config.home import Home
from config.rollouts import ROLLOUTS_FILE_NAME
from config.settings import (
    AgentSettings,
    CycleSettings,
    NotificationSettings,
    Settings,
    TemporalSettings,
)
from domain.calls import CallRecord, ErrorKind
from domain.contracts import PluginPackage
from domain.cycles import CycleRecord, Trigger
from domain.decisions import Decision, DecisionScores
from domain.opportunities import OpportunitySource, Remedy, UpgradeOpportunity
from domain.roles import Role
from domain.rollouts import RolloutConfiguration, RolloutDecision
from domain.routing import PluginVersion, Route, VariantName
from domain.upgrades import PlanOrigin, PlanPolicy, UpgradePlan, UpgradeRecord
from engines.upgrades import make_plan
from gateway.main import run_gateway
from gateway.service import Outside
from plugins.core.packages import read_package
from tests.plugins.factories import ADD, ADD_CODE, a_manifest, numbers_plugin, write_package
from worker.main import built_context
from worker.wiring import host_activities, loop_worker, worker_of
from workflows.ids import upgrade_workflow_id

CAPABILITY = "numbers"
PEOPLE = {"owner": Role.ADMINISTRATOR, "olga": Role.OBSERVER, "petra": Role.APPROVER}


GATE = {"metric": "error_rate", "threshold": 0.1, "evaluation_window": "PT1H"}
SHORT: Mapping[str, Any] = {
    "unit": "call",
    "check_every": "PT30M",
    "stages": [
        {"name": "canary", "traffic_percentage": 20, "duration": "PT1H", "gates": [GATE]},
        {"name": "everyone", "traffic_percentage": 100, "duration": "PT1H"},
    ],
}
"""A rollout of two stages of an hour and a gate that a few dozen calls prove."""


def shared_plan(**fields: Any) -> RolloutConfiguration:
    """Return the short rollout, changed where fields are given."""
    return RolloutConfiguration.model_validate({"name": "short", **SHORT, **fields})


def manifest(version: str, capability: str = CAPABILITY) -> dict[str, Any]:
    """Return the manifest of one version of a plugin that adds, with golden calls enough for an experiment."""
    examples = [{"arguments": {"a": one, "b": 3}, "result": {"sum": one + 3}} for one in range(10)]
    made = a_manifest({**ADD, "examples": examples}, name=plugin_of(capability), version=version)
    made["provided_interfaces"][0]["name"] = capability
    return made


def plugin_of(capability: str) -> str:
    """Return the name of the plugin that provides a capability."""
    return "calculator" if capability == CAPABILITY else f"{capability}_calculator"


@dataclass
class Traffic:
    """What callers do to the candidate while a stage runs.

    Attributes:
        per_hour: calls of the candidate.
        fails: tells, from the stage's name and the call's number, whether a call fails.
    """

    per_hour: float = 200
    fails: Callable[[str, int], bool] = lambda _stage, _number: False
    written_until: dict[str, datetime] = field(default_factory=dict)
    looks: int = 0

    def write(self, context: Context, message: m.JudgeInput) -> None:
        """Write the calls that were made since the last look."""
        stage = message.rollout.plan.stages[message.state.index].name
        since = self.written_until.get(f"{message.rollout.id}/{stage}", message.state.started_at)
        number = int((message.at - since).total_seconds() / 3600 * self.per_hour)
        records = [self._call(message, stage, index, since, number) for index in range(number)]
        context.store.calls.append(records)
        self.written_until[f"{message.rollout.id}/{stage}"] = message.at
        self.looks += 1

    def _call(self, message: m.JudgeInput, stage: str, index: int, since: datetime, number: int) -> CallRecord:
        failed = self.fails(stage, index)
        return CallRecord(
            call_id=uuid.uuid4().hex,
            capability=message.rollout.capability,
            method="add",
            variant=VariantName.CANDIDATE,
            version=message.rollout.candidate.id,
            caller=f"caller-{index % 7}",
            started_at=since + (message.at - since) * ((index + 0.5) / number),
            duration_ms=4.0,
            error=ErrorKind.TOOL_ERROR if failed else None,
        )


@dataclass
class World:
    """The parts a test works with."""

    home: Home
    context: Context
    client: Client
    traffic: Traffic
    versions: Mapping[str, tuple[PluginVersion, PluginVersion]]
    host: str

    @property
    def control(self) -> PluginVersion:
        """The version that serves."""
        return self.versions[CAPABILITY][0]

    @property
    def candidate(self) -> PluginVersion:
        """The version on offer."""
        return self.versions[CAPABILITY][1]

    def opportunity(self, capability: str = CAPABILITY, **fields: Any) -> UpgradeOpportunity:
        """Return an opportunity to replace the control by the candidate; it is in the store.

        As it is a person is asked about it; `strategic_alignment=1` makes it good enough that nobody is.
        """
        control, candidate = self.versions[capability]
        values: dict[str, Any] = {
            "source": OpportunitySource.PATTERN,
            "description": f"{capability} could be faster",
            "estimated_value": 0.9,
            "estimated_complexity": 0.1,
            "estimated_risk": 0.2,
            "remedy": Remedy(capability=capability, package=candidate, replaces=control),
            **fields,
        }
        opportunity = UpgradeOpportunity(id=f"opportunity-{uuid.uuid4().hex[:8]}", **values)
        self.context.store.opportunities.put(opportunity)
        return opportunity

    def plan(self, *, needs_approval: bool = False, **fields: Any) -> UpgradePlan:
        """Return a plan from the control to the candidate, whose opportunity is in the store."""
        opportunity = self.opportunity()
        scores = DecisionScores(value=0.9, risk=0.2, complexity=0.1, alignment=0.5, resources=1)
        decision = Decision(
            opportunity_id=opportunity.id,
            approved=True,
            confidence=0.9,
            composite=0.9,
            scores=scores,
            reasoning=("worth it",),
            needs_approval=needs_approval,
        )
        policy = PlanPolicy(rollout=fields.pop("rollout", shared_plan()))
        origin = PlanOrigin(
            plan_id=f"numbers-1.1.0-{uuid.uuid4().hex[:8]}", cycle_id="cycle-1", host=self.host, at=datetime.now(UTC)
        )
        return make_plan(opportunity, decision, policy, origin).model_copy(update=fields)

    async def start(self, plan: UpgradePlan) -> WorkflowHandle[Any, UpgradeRecord]:
        """Start the upgrade of a plan."""
        return await self.client.start_workflow(
            "Upgrade",
            plan,
            id=upgrade_workflow_id(plan.capability),
            task_queue=self.context.settings.temporal.task_queue,
            result_type=UpgradeRecord,
        )

    async def start_cycle(self, trigger: Trigger = Trigger.MANUAL) -> WorkflowHandle[Any, CycleRecord]:
        """Start a cycle."""
        return await self.client.start_workflow(
            "UpgradeCycle",
            m.CycleInput(trigger=trigger, host=self.host),
            id=f"cycle-{uuid.uuid4().hex[:8]}",
            task_queue=self.context.settings.temporal.task_queue,
            result_type=CycleRecord,
        )

    async def until(self, condition: Callable[[], bool], seconds: float = 90) -> None:
        """Wait, in real time, until something is so."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not condition():
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"it did not come to pass; what runs: {await self._running()}")
            await asyncio.sleep(0.05)

    async def _running(self) -> list[str]:
        """Return each workflow that runs, with the activities it waits for."""
        found = []
        async for workflow in self.client.list_workflows("ExecutionStatus = 'Running'"):
            described = await self.client.get_workflow_handle(workflow.id).describe()
            waiting = [
                f"{one.activity_type.name} attempt {one.attempt} {one.last_failure.message}"
                for one in described.raw_description.pending_activities
            ]
            found.append(f"{workflow.id}: {waiting or 'no activity'}")
        return found

    def served(self, capability: str = CAPABILITY) -> Route | None:
        """Return the route in force for a capability."""
        return self.context.store.routes.load().routes.get(capability)


class JudgedWithTraffic:
    """The real look at the gates, after the traffic since the last one was written."""

    def __init__(self, context: Context, traffic: Traffic) -> None:
        self._context = context
        self._traffic = traffic
        self._real = RolloutActivities(context)

    @activity.defn
    async def judge_stage(self, message: m.JudgeInput) -> RolloutDecision:
        """Write the traffic, then look."""
        await asyncio.to_thread(self._traffic.write, self._context, message)
        return await self._real.judge_stage(message)


CODE = "def add(self, a, b): return {'sum': a + b}"


@asynccontextmanager
async def made_world(client: Client, root: Path, code: str = CODE, **fields: Any) -> AsyncIterator[World]:
    """Make a world in a folder, with both workers and a gateway running.

    Args:
        client: of the Temporal Service.
        root: the folder.
        code: of the candidate.
        fields: `capabilities` beside numbers, and settings other than a test's usual ones.
    """
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(made_place(client, root, code, **fields))
        threads = stack.enter_context(ThreadPoolExecutor(8))
        await stack.enter_async_context(loop_worker(client, world.context, threads))
        await stack.enter_async_context(_host_worker(client, world.context, world.traffic, threads))
        yield world


@asynccontextmanager
async def made_place(client: Client, root: Path, code: str = CODE, **fields: Any) -> AsyncIterator[World]:
    """Make a world in which nobody works: a gateway runs, activities do not."""
    home = Home(root / "home").create()
    _write_rollouts(home)
    names = [CAPABILITY, *fields.pop("capabilities", ())]
    unique = uuid.uuid4().hex[:8]
    settings = _settings(root / "registry", unique, fields)
    with built_context(home, settings, client) as context:
        versions = {name: _both_versions(context, root, name, code) for name in names}
        async with _gateway(home, settings):
            yield World(home, context, client, Traffic(), versions, unique)


def _settings(registry: Path, unique: str, fields: Mapping[str, Any]) -> Settings:
    return Settings(
        **{
            "cycle": CycleSettings(max_concurrent_upgrades=1),
            "agent": AgentSettings(registry=registry),
            "notifications": NotificationSettings(console=False),
            "roles": PEOPLE,
            "temporal": TemporalSettings(task_queue=f"loop-{unique}", host_name=unique),
            **fields,
        }
    )


def _write_rollouts(home: Home) -> None:
    """Let every decision lead to the short rollout."""
    plans = {"rollouts": dict.fromkeys(("standard", "new_capability"), SHORT)}
    (home.config / ROLLOUTS_FILE_NAME).write_text(json.dumps(plans), encoding="utf-8")


def _host_worker(client: Client, context: Context, traffic: Traffic, threads: ThreadPoolExecutor) -> Worker:
    real = [one for one in host_activities(context) if getattr(one, "__name__", "") != "judge_stage"]
    activities = [*real, JudgedWithTraffic(context, traffic).judge_stage]
    return worker_of(client, context.settings.temporal.host_queue, activities=activities, activity_executor=threads)


def _both_versions(context: Context, root: Path, capability: str, code: str) -> tuple[PluginVersion, PluginVersion]:
    plugin = plugin_of(capability)
    before = write_package(root / f"{plugin}-1.0.0", manifest("1.0.0", capability), _named(ADD_CODE, capability))
    after = write_package(
        root / "registry" / "packages" / plugin / "1.1.0",
        manifest("1.1.0", capability),
        _named(numbers_plugin(code), capability),
    )
    return _installed(context, before, capability), _version_of(read_package(after))


def _named(code: str, capability: str) -> str:
    return code.replace('"numbers"', f'"{capability}"').replace("'numbers'", f"'{capability}'")


def _installed(context: Context, folder: Path, capability: str) -> PluginVersion:
    package = context.packages.add(folder)
    version = _version_of(package)
    now = datetime.now(UTC)
    context.store.packages.put(package, now)
    context.folders.install(version)
    context.store.routes.save(
        context.store.routes.load().with_route(Route(capability=capability, control=version)), now
    )
    return version


def _version_of(package: PluginPackage) -> PluginVersion:
    contract = package.contract
    return PluginVersion(plugin=contract.name, version=contract.version, digest=package.digest)


@asynccontextmanager
async def _gateway(home: Home, settings: Settings) -> AsyncIterator[None]:
    ready, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(run_gateway(home, settings, outside=Outside(ready=lambda _: ready.set()), stop=stop))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    try:
        if task.done():
            task.result()
        yield
    finally:
        stop.set()
        await task


async def nowhere() -> Client:
    """Return a client of a Temporal Service that is not there; it connects when it is first used."""
    return await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter)
