"""Recorded histories: how they are taken, kept and replayed.

    python -m tests.workflows.recording        records anew, after a change that old runs need not survive

Rules:
- A history is what a real server wrote while a test scenario ran; it is kept as compressed JSON.
- Replaying a history with the code as it is now must not differ from what happened then. When it does, runs that are
  under way would break: guard the change with `workflow.patched`.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment
from temporalio.worker import Replayer

from config.home import Home
from config.rollouts import load_rollouts
from domain.rollouts import RolloutConfiguration
from tests.workflows.world import World, made_world
from worker.bootstrap import add_search_attributes
from worker.temporal_server import find_temporal
from worker.wiring import WORKFLOWS, sandbox

FOLDER = Path(__file__).parent / "histories"


@dataclass(frozen=True)
class Recorded:
    """One recorded run."""

    name: str
    workflow_id: str
    path: Path

    def history(self) -> WorkflowHistory:
        """Read it."""
        return WorkflowHistory.from_json(self.workflow_id, gzip.decompress(self.path.read_bytes()).decode())


def recorded() -> Iterator[Recorded]:
    """Yield every recorded run."""
    for path in sorted(FOLDER.glob("*.json.gz")):
        name = path.name.removesuffix(".json.gz")
        yield Recorded(name=name, workflow_id=name.partition(".")[2], path=path)


def replayer() -> Replayer:
    """Return a replayer of all workflows of the house."""
    return Replayer(workflows=WORKFLOWS, workflow_runner=sandbox(), data_converter=pydantic_data_converter)


async def histories_of(client: Client, workflow_id: str) -> AsyncIterator[WorkflowHistory]:
    """Yield the histories of all runs of a workflow id, the first run first."""
    run_ids: list[str] = []
    handle = client.get_workflow_handle(workflow_id)
    description = await handle.describe()
    first = description.raw_description.workflow_execution_info.first_run_id or description.run_id
    following: str | None = first
    while following:
        run_ids.append(following)
        history = await client.get_workflow_handle(workflow_id, run_id=following).fetch_history()
        yield history
        last = history.events[-1]
        following = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id or None


def standard_plan() -> RolloutConfiguration:
    """Return the shipped 312 hour plan, looked at three times a day so that a test does not take long."""
    shipped = load_rollouts(Home(Path("/nowhere")))["standard"]
    return shipped.model_copy(update={"check_every": timedelta(hours=8)})


def fails_in_stage_three(stage: str, number: int) -> bool:
    """Tell that a tenth of the calls of the third stage fail."""
    return stage == "gradual_expansion" and number % 10 == 0


async def _record(world: World, scenario: str) -> None:
    plan = world.plan(rollout=standard_plan())
    await (await world.start(plan)).result()
    for workflow_id in (f"upgrade-{plan.capability}", f"experiment-{plan.id}", f"rollout-{plan.id}"):
        runs = [history async for history in histories_of(world.client, workflow_id)]
        for number, history in enumerate(runs):
            path = FOLDER / f"{scenario}-{number}.{workflow_id}.json.gz"
            path.write_bytes(gzip.compress(_without_identity(history.to_json()).encode(), mtime=0))


def _without_identity(history: str) -> str:
    """Return a history that does not say on which machine it was recorded."""
    return history.replace(socket.gethostname(), "host")


async def _record_all() -> None:
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json.gz"):
        old.unlink()
    environment = await skipping_environment()
    async with environment:
        for scenario in ("complete", "rolled_back"):
            with tempfile.TemporaryDirectory() as root:
                async with made_world(environment.client, Path(root)) as world:
                    world.traffic.per_hour = 60
                    if scenario == "rolled_back":
                        world.traffic.fails = fails_in_stage_three
                    await _record(world, scenario)


async def skipping_environment() -> WorkflowEnvironment:
    """Start a real Temporal server that skips time."""
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(max_session_skip_count=100_000),
        dev_server_existing_path=str(find_temporal()),
        dev_server_extra_args=[
            *("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
            *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"'),
        ],
        data_converter=pydantic_data_converter,
    )
    await add_search_attributes(environment.client)
    return environment


if __name__ == "__main__":
    asyncio.run(_record_all())
