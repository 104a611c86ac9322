"""Spec 9.1, wiring - decides which workflows and activities a worker carries, and with what.

Rules:
- Two queues: the loop's own, and that of the machine the agent lives on. One process may carry both.
- Host-bound activities are registered on the host's queue only, so that they can never run on the wrong machine.
- The house's own modules pass through the workflow sandbox once, here.

Not here: connecting and stopping (`worker/main.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from datetime import timedelta
from typing import Any

import pydantic
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.approvals import ApprovalActivities
from activities.compensations import CompensationActivities
from activities.context import Context
from activities.cycles import CycleActivities
from activities.decisions import DecisionActivities
from activities.dependencies import DependencyActivities
from activities.experiments import ExperimentActivities
from activities.gaps import GapActivities
from activities.janitor import JanitorActivities
from activities.notifications import NotificationActivities
from activities.opportunities import OpportunityActivities
from activities.patterns import PatternActivities
from activities.performance import PerformanceActivities
from activities.plugins import PluginActivities
from activities.rollbacks import RollbackActivities
from activities.rollouts import RolloutActivities
from activities.security import SecurityActivities
from activities.slots import SlotActivities
from activities.snapshots import SnapshotActivities
from activities.upgrades import UpgradeActivities
from worker.failures import FailureInterceptor
from workflows.experiment import ExperimentWorkflow
from workflows.janitor import JanitorWorkflow
from workflows.rollback import RollbackWorkflow
from workflows.rollout import RolloutWorkflow
from workflows.upgrade import UpgradeWorkflow
from workflows.upgrade_cycle import UpgradeCycleWorkflow

WORKFLOWS: Sequence[type] = (
    UpgradeCycleWorkflow,
    UpgradeWorkflow,
    ExperimentWorkflow,
    RolloutWorkflow,
    RollbackWorkflow,
    JanitorWorkflow,
)

STICKY_PATIENCE = timedelta(seconds=2)
"""After a crash another worker takes a workflow over this soon (Temporal's default is 10 s)."""

GRACE = timedelta(seconds=20)

_HOUSE = ("activities", "config", "domain", "engines", "gateway", "plugins", "store", "workflows")
_LIBRARIES = ("pydantic", "pydantic_core", "annotated_types")

Activity = Callable[..., Any]


def loop_activities(context: Context) -> list[Activity]:
    """Return the activities that need the store only."""
    cycles, upgrades, slots = CycleActivities(context), UpgradeActivities(context), SlotActivities(context)
    approvals, rollbacks, rollouts = (
        ApprovalActivities(context),
        RollbackActivities(context),
        RolloutActivities(context),
    )
    return [
        cycles.record_cycle,
        DecisionActivities(context).decide_upgrades,
        upgrades.open_upgrade,
        upgrades.record_upgrade,
        approvals.authorise,
        approvals.record_answer,
        slots.acquire_slot,
        slots.release_slot,
        NotificationActivities(context).notify,
        ExperimentActivities(context).record_experiment,
        rollouts.record_rollout,
        CompensationActivities(context).register_compensation,
        rollbacks.open_rollback,
        rollbacks.close_rollback,
        rollbacks.await_rollback,
    ]


def host_activities(context: Context) -> list[Activity]:
    """Return the activities that need the machine the agent lives on."""
    plugins, rollouts, compensations = (
        PluginActivities(context),
        RolloutActivities(context),
        CompensationActivities(context),
    )
    return [
        PatternActivities(context).detect_patterns,
        GapActivities(context).identify_gaps,
        OpportunityActivities(context).analyse_opportunities,
        plugins.validate_deployed,
        SnapshotActivities(context).create_snapshot,
        DependencyActivities(context).resolve_dependencies,
        SecurityActivities(context).verify_security,
        PerformanceActivities(context).assess_performance,
        plugins.register_plugin,
        plugins.validate_upgrade,
        ExperimentActivities(context).run_experiment,
        rollouts.activate_stage,
        rollouts.judge_stage,
        rollouts.finish_rollout,
        rollouts.set_share,
        compensations.run_compensation,
        JanitorActivities(context).sweep,
    ]


def loop_worker(client: Client, context: Context, executor: Executor) -> Worker:
    """Return the worker of the loop's own queue: workflows, and activities that need the store only."""
    return worker_of(
        client,
        context.settings.temporal.task_queue,
        workflows=WORKFLOWS,
        activities=loop_activities(context),
        activity_executor=executor,
    )


def host_worker(client: Client, context: Context, executor: Executor) -> Worker:
    """Return the worker of the host's queue."""
    return worker_of(
        client,
        context.settings.temporal.host_queue,
        activities=host_activities(context),
        activity_executor=executor,
    )


def sandbox() -> SandboxedWorkflowRunner:
    """Return the workflow sandbox, with the house's own modules passed through."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*_HOUSE, *_LIBRARIES)
    return SandboxedWorkflowRunner(restrictions=restrictions)


def worker_of(client: Client, queue: str, **parts: Any) -> Worker:
    """Return a worker of a queue with the house's options."""
    return Worker(
        client,
        task_queue=queue,
        workflow_runner=sandbox(),
        interceptors=[FailureInterceptor()],
        workflow_failure_exception_types=[pydantic.ValidationError],
        graceful_shutdown_timeout=GRACE,
        sticky_queue_schedule_to_start_timeout=STICKY_PATIENCE,
        disable_eager_activity_execution=True,
        deployment_config=WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(deployment_name="upgrade-loop", build_id="1"),
            use_worker_versioning=False,
            default_versioning_behavior=VersioningBehavior.UNSPECIFIED,
        ),
        **parts,
    )
