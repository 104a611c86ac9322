"""Spec 9.1, activities as workflows call them - decides where each runs, how long it may take and how often.

Rules:
- Work that is bound to the agent's machine goes to that host's queue; all other work to the loop's own queue.
- A step that changes something is not left while it is still running: cancellation waits for it.
- What takes back and what keeps the books is tried until it is done; a study or a change is tried a few times.
- What the house itself calls hopeless is not tried again: the worker marks such failures when they leave an activity.

Not here: what the activities do (`activities/`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities import messages as m
from domain.base import Model
from domain.compensations import ActionResult, CompensatingAction
from domain.events import Event
from domain.experiments import Experiment
from domain.rollouts import RolloutDecision

R = TypeVar("R", bound=Model)


@dataclass(frozen=True)
class Patience:
    """How long an activity may take and how often it is tried."""

    start_to_close: timedelta
    attempts: int
    heartbeat: timedelta | None = None
    finish_before_cancel: bool = False


QUICK = Patience(timedelta(seconds=30), attempts=0)
STUDY = Patience(timedelta(minutes=10), attempts=3, heartbeat=timedelta(seconds=60))
CHANGE = Patience(timedelta(minutes=5), attempts=4, heartbeat=timedelta(seconds=60), finish_before_cancel=True)
UNDO = Patience(timedelta(minutes=5), attempts=0, heartbeat=timedelta(seconds=60), finish_before_cancel=True)

_FIRST_RETRY = timedelta(seconds=1)
_LAST_RETRY = timedelta(seconds=30)


async def _do(name: str, message: Model, result: type[R], patience: Patience, host: str | None = None) -> R:
    waiting = workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    leaving = workflow.ActivityCancellationType.TRY_CANCEL
    answer: R = await workflow.execute_activity(
        name,
        message,
        result_type=result,
        task_queue=f"agent-host-{host}" if host else None,
        start_to_close_timeout=patience.start_to_close,
        heartbeat_timeout=patience.heartbeat,
        cancellation_type=waiting if patience.finish_before_cancel else leaving,
        retry_policy=RetryPolicy(
            initial_interval=_FIRST_RETRY,
            maximum_interval=_LAST_RETRY,
            maximum_attempts=patience.attempts,
        ),
        summary=name.replace("_", " "),
    )
    return answer


# Cycles


async def record_cycle(message: m.CycleReport) -> m.Done:
    """Remember a cycle as it is now."""
    return await _do("record_cycle", message, m.Done, QUICK)


async def detect_patterns(message: m.CycleMoment) -> m.Discovered:
    """Look for patterns in the agent's code and calls."""
    return await _do("detect_patterns", message, m.Discovered, STUDY, host=message.host)


async def identify_gaps(message: m.CycleMoment) -> m.Discovered:
    """Look for what the agent lacks."""
    return await _do("identify_gaps", message, m.Discovered, STUDY, host=message.host)


async def analyse_opportunities(message: m.CycleMoment) -> m.Analysed:
    """Turn discoveries into ranked opportunities."""
    return await _do("analyse_opportunities", message, m.Analysed, STUDY, host=message.host)


async def decide_upgrades(message: m.CycleMoment) -> m.Selected:
    """Decide on the cycle's opportunities and plan the approved ones."""
    return await _do("decide_upgrades", message, m.Selected, QUICK)


async def validate_deployed(message: m.CycleMoment) -> m.Validated:
    """Compare what is served with what the records say is deployed."""
    return await _do("validate_deployed", message, m.Validated, QUICK, host=message.host)


# Upgrades


async def open_upgrade(message: m.UpgradeOpening) -> m.Opened:
    """Take the opportunity for this upgrade, unless another has it."""
    return await _do("open_upgrade", message, m.Opened, QUICK)


async def record_upgrade(message: m.UpgradeReport) -> m.Done:
    """Remember an upgrade as it is now."""
    return await _do("record_upgrade", message, m.Done, QUICK)


async def authorise(message: m.OrderCheck) -> m.Authorised:
    """Ask whether a person may give an order, and write the answer down."""
    return await _do("authorise", message, m.Authorised, QUICK)


async def record_answer(message: m.Answer) -> m.Done:
    """Write down a person's answer."""
    return await _do("record_answer", message, m.Done, QUICK)


async def acquire_slot(message: m.SlotRequest) -> m.SlotAnswer:
    """Ask for a place among the concurrent upgrades."""
    return await _do("acquire_slot", message, m.SlotAnswer, QUICK)


async def release_slot(message: m.SlotRequest) -> m.Done:
    """Give the place back."""
    return await _do("release_slot", message, m.Done, UNDO)


async def notify(event: Event) -> m.Done:
    """Tell the world."""
    return await _do("notify", event, m.Done, QUICK)


# Steps of an upgrade


async def create_snapshot(message: m.SnapshotInput) -> m.StepReport:
    """Keep the system as it is now."""
    return await _do("create_snapshot", message, m.StepReport, CHANGE, host=message.plan.host)


async def resolve_dependencies(message: m.StepInput) -> m.StepReport:
    """Find the versions the candidate needs."""
    return await _do("resolve_dependencies", message, m.StepReport, STUDY, host=message.plan.host)


async def verify_security(message: m.StepInput) -> m.StepReport:
    """Run the five security checks on the candidate."""
    return await _do("verify_security", message, m.StepReport, STUDY, host=message.plan.host)


async def assess_performance(message: m.StepInput) -> m.StepReport:
    """Measure the candidate beside the version it would replace."""
    return await _do("assess_performance", message, m.StepReport, STUDY, host=message.plan.host)


async def register_plugin(message: m.StepInput) -> m.StepReport:
    """Install the candidate and load it behind the door, without traffic."""
    return await _do("register_plugin", message, m.StepReport, CHANGE, host=message.plan.host)


async def validate_upgrade(message: m.StepInput) -> m.StepReport:
    """Call the new version through the door as an agent would."""
    return await _do("validate_upgrade", message, m.StepReport, STUDY, host=message.plan.host)


# Experiments


async def record_experiment(message: m.ExperimentReport) -> m.Done:
    """Remember an experiment as it is now."""
    return await _do("record_experiment", message, m.Done, QUICK)


async def run_experiment(message: m.ExperimentReport, host: str) -> Experiment:
    """Replay recorded calls through both versions and analyse the pairs."""
    return await _do("run_experiment", message, Experiment, STUDY, host=host)


# Rollouts


async def activate_stage(message: m.StageInput) -> m.Done:
    """Give the candidate the stage's share of traffic."""
    return await _do("activate_stage", message, m.Done, CHANGE, host=message.rollout.host)


async def judge_stage(message: m.JudgeInput) -> RolloutDecision:
    """Read the counts of the running stage and decide what to do."""
    return await _do("judge_stage", message, RolloutDecision, QUICK, host=message.rollout.host)


async def finish_rollout(message: m.RolloutReport) -> m.Done:
    """Make the candidate the version that serves everyone."""
    return await _do("finish_rollout", message, m.Done, CHANGE, host=message.rollout.host)


async def record_rollout(message: m.RolloutReport) -> m.Done:
    """Remember a rollout as it is now."""
    return await _do("record_rollout", message, m.Done, QUICK)


# Taking back


async def register_compensation(message: m.CompensationInput) -> CompensatingAction:
    """Write down what takes a step back, before the step acts."""
    return await _do("register_compensation", message, CompensatingAction, QUICK)


async def open_rollback(message: m.RollbackOpening) -> m.RollbackBrief:
    """Ask whether and how an upgrade can be taken back."""
    return await _do("open_rollback", message, m.RollbackBrief, UNDO)


async def set_share(message: m.ShareChange, host: str) -> m.Done:
    """Let the candidate serve less."""
    return await _do("set_share", message, m.Done, UNDO, host=host)


async def run_compensation(message: m.CompensationRun, host: str) -> ActionResult:
    """Take one step back."""
    return await _do("run_compensation", message, ActionResult, UNDO, host=host)


async def close_rollback(message: m.RollbackClosing) -> m.Done:
    """Write down how a rollback ended."""
    return await _do("close_rollback", message, m.Done, UNDO)


async def await_rollback(message: m.RollbackOpening) -> m.TakenBack:
    """Wait until a rollback that somebody else started has recorded its outcome."""
    return await _do("await_rollback", message, m.TakenBack, UNDO)


async def sweep(message: m.SweepInput) -> m.Swept:
    """Find what died without an outcome, and clear away what is no longer needed."""
    return await _do("sweep", message, m.Swept, STUDY, host=message.host)
