"""A small real world for workflow tests: Temporal with time skipping, a gateway, two plugin versions, a registry.

Everything is real but time and traffic: the server skips timers, and `Traffic` writes ledger rows at the workflow's
own time, as a gateway would have, before each look at a gate.
"""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities import messages as m
from activities.context import Context
from activities.rollouts import RolloutActivities
from config.home import Home
from config.settings import (
    AgentSettings,
    CycleSettings,
    NotificationSettings,
    Settings,
    TemporalSettings,
)
from domain.calls import CallRecord, ErrorKind
from domain.decisions import Decision, DecisionScores
from domain.opportunities import OpportunitySource, Remedy, UpgradeOpportunity
from domain.roles import Role
from domain.rollouts import RolloutConfiguration, RolloutDecision
from domain.routing import PluginVersion, Route, VariantName
from domain.upgrades import PlanOrigin, PlanPolicy, UpgradePlan, UpgradeRecord
from engines.upgrades import make_plan
from gateway.main import run_gateway
from gateway.service import Outside
from tests.plugins.factories import ADD, a_manifest, numbers_plugin, write_package
from worker.main import built_context
from worker.wiring import host_activities, loop_worker, worker_of
from workflows.ids import upgrade_workflow_id

CAPABILITY = "numbers"
PEOPLE = {"owner": Role.ADMINISTRATOR, "olga": Role.OBSERVER, "petra": Role.APPROVER}


def shared_plan(**fields: Any) -> RolloutConfiguration:
    """Return a plan of two stages of an hour and a gate that a few dozen calls prove."""
    gate = {"metric": "error_rate", "threshold": 0.1, "evaluation_window": "PT1H"}
    return RolloutConfiguration.model_validate(
        {
            "name": "short",
            "unit": "call",
            "check_every": "PT30M",
            "stages": [
                {"name": "canary", "traffic_percentage": 20, "duration": "PT1H", "gates": [gate]},
                {"name": "everyone", "traffic_percentage": 100, "duration": "PT1H"},
            ],
            **fields,
        }
    )


def manifest(version: str) -> dict[str, Any]:
    """Return the manifest of one version of the calculator, with golden calls enough for an experiment."""
    examples = [{"arguments": {"a": one, "b": 3}, "result": {"sum": one + 3}} for one in range(10)]
    return a_manifest({**ADD, "examples": examples}, version=version)


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
    control: PluginVersion
    candidate: PluginVersion
    host: str

    def plan(self, *, needs_approval: bool = False, **fields: Any) -> UpgradePlan:
        """Return a plan from the control to the candidate, whose opportunity is in the store."""
        opportunity = UpgradeOpportunity(
            id=f"opportunity-{uuid.uuid4().hex[:8]}",
            source=OpportunitySource.PATTERN,
            description="numbers could be faster",
            estimated_value=0.9,
            estimated_complexity=0.1,
            estimated_risk=0.2,
            remedy=Remedy(capability=CAPABILITY, package=self.candidate, replaces=self.control),
        )
        self.context.store.opportunities.put(opportunity)
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

    async def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait, in real time, until something is so."""
        for _ in range(int(seconds / 0.05)):
            if condition():
                return
            await asyncio.sleep(0.05)
        raise AssertionError("it did not come to pass")

    def served(self) -> Route | None:
        """Return the route in force for the capability."""
        return self.context.store.routes.load().routes.get(CAPABILITY)


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


@asynccontextmanager
async def made_world(
    client: Client, root: Path, code: str = "def add(self, a, b): return {'sum': a + b}"
) -> AsyncIterator[World]:
    """Make a world in a folder, with both workers and a gateway running."""
    home = Home(root / "home").create()
    registry = root / "registry"
    unique = uuid.uuid4().hex[:8]
    settings = Settings(
        cycle=CycleSettings(max_concurrent_upgrades=1),
        agent=AgentSettings(registry=registry),
        notifications=NotificationSettings(console=False),
        roles=PEOPLE,
        temporal=TemporalSettings(task_queue=f"loop-{unique}", host_name=unique),
    )
    with built_context(home, settings, client) as context:
        control = _installed(context, write_package(root / "calculator-1.0.0", manifest("1.0.0")))
        candidate = _offered(registry, numbers_plugin(code))
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(_gateway(home, settings))
            traffic = Traffic()
            threads = stack.enter_context(ThreadPoolExecutor(8))
            await stack.enter_async_context(loop_worker(client, context, threads))
            await stack.enter_async_context(_host_worker(client, context, traffic, threads))
            yield World(home, context, client, traffic, control, candidate, unique)


def _host_worker(client: Client, context: Context, traffic: Traffic, threads: ThreadPoolExecutor) -> Worker:
    real = [one for one in host_activities(context) if getattr(one, "__name__", "") != "judge_stage"]
    activities = [*real, JudgedWithTraffic(context, traffic).judge_stage]
    return worker_of(client, context.settings.temporal.host_queue, activities=activities, activity_executor=threads)


def _installed(context: Context, folder: Path) -> PluginVersion:
    package = context.packages.add(folder)
    version = PluginVersion(plugin="calculator", version=package.contract.version, digest=package.digest)
    now = datetime.now(UTC)
    context.store.packages.put(package, now)
    context.folders.install(version)
    context.store.routes.save(
        context.store.routes.load().with_route(Route(capability=CAPABILITY, control=version)), now
    )
    return version


def _offered(registry: Path, code: str) -> PluginVersion:
    from plugins.core.packages import read_package

    folder = write_package(registry / "packages" / "calculator" / "1.1.0", manifest("1.1.0"), code)
    package = read_package(folder)
    return PluginVersion(plugin="calculator", version=package.contract.version, digest=package.digest)


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


def forget(path: Path) -> None:
    """Remove a folder."""
    shutil.rmtree(path, ignore_errors=True)


HOUR = timedelta(hours=1)
