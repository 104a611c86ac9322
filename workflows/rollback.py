"""Spec 8.1, rollback - decides how an upgrade is taken back, whoever asks for it.

Rules:
- One workflow serves a failing saga, a gate, a person's order and the janitor. Its id is the upgrade's: it runs once.
- It begins only if the upgrade can be taken back and the person may order it; a refusal changes nothing.
- Compensations run in reverse order; one that fails does not stop the others.
- FULL runs all of them; COMPENSATING leaves the snapshot alone; PARTIAL runs those of the chosen components; GRADUAL
  first steps the candidate's share down, stage by stage, then does what FULL does.
- It cannot be cancelled half-way: a cancellation is noted and the rest still runs.

Not here: which compensations there are (`activities/rollbacks.py`), what each does (`activities/compensations.py`).
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError

from activities import messages as m
from domain.compensations import ActionResult, CompensatingAction, CompensationResult, RollbackResult
from domain.events import Event, EventType
from domain.upgrades import UpgradeStatus
from workflows import display, hands
from workflows.failures import reason_of
from workflows.ids import rollback_workflow_id

STEP_DOWN_PAUSE = timedelta(seconds=30)
"""How long a gradual rollback stays on each smaller share."""


@workflow.defn(name="Rollback")
class RollbackWorkflow:
    """Takes one upgrade back."""

    @workflow.init
    def __init__(self, order: m.RollbackInput) -> None:
        self._order = order
        self._results: list[ActionResult] = []
        self._brief = m.RollbackBrief()

    @workflow.query
    def status(self) -> CompensationResult:
        """Tell what has been taken back so far."""
        return self._tally()

    @workflow.run
    async def run(self, order: m.RollbackInput) -> m.TakenBack:
        """Take the upgrade back and say how that ended."""
        del order
        work = asyncio.create_task(self._take_back())
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if work.cancelled():
                raise
            workflow.logger.warning("a rollback is not left half done; it goes on")
            return await work

    async def _take_back(self) -> m.TakenBack:
        started = workflow.now()
        self._brief = await hands.open_rollback(m.RollbackOpening(order=self._order, at=started))
        if self._brief.refusal:
            raise ApplicationError(self._brief.refusal, type="RollbackRefused", non_retryable=True)
        if self._brief.upgrade_id:
            self._order = self._order.model_copy(update={"upgrade_id": self._brief.upgrade_id})
        await self._step_down()
        for action in self._brief.actions:
            self._results.append(await self._run(action))
            self._show()
        ended = self._ending((workflow.now() - started).total_seconds())
        await hands.close_rollback(m.RollbackClosing(order=self._order, ended=ended, at=workflow.now()))
        await _announce(self._order, ended)
        return ended

    async def _step_down(self) -> None:
        for share in self._brief.shares:
            change = m.ShareChange(upgrade_id=self._order.upgrade_id, share=share, at=workflow.now())
            await hands.set_share(change, self._brief.host)
            await workflow.sleep(STEP_DOWN_PAUSE, summary=f"the candidate serves {share:.0%}")

    async def _run(self, action: CompensatingAction) -> ActionResult:
        try:
            return await hands.run_compensation(m.CompensationRun(action=action, at=workflow.now()), self._brief.host)
        except FailureError as failure:
            return ActionResult(action_id=action.id, success=False, error=reason_of(failure))

    def _ending(self, seconds: float) -> m.TakenBack:
        tally = self._tally()
        result = RollbackResult(
            upgrade_id=self._order.upgrade_id,
            type=self._order.type,
            success=tally.failed == 0,
            reason=self._order.reason,
            compensation=tally,
            seconds=seconds,
        )
        return m.TakenBack(
            status=self._brief.outcome if result.success else UpgradeStatus.NEEDS_ATTENTION,
            result=result,
        )

    def _tally(self) -> CompensationResult:
        successful = sum(result.success for result in self._results)
        return CompensationResult(
            total=len(self._brief.actions),
            successful=successful,
            failed=len(self._results) - successful,
            details=tuple(self._results),
        )

    def _show(self) -> None:
        rows = ((result.action_id, "taken back" if result.success else result.error) for result in self._results)
        heading = f"## Taking back {self._order.upgrade_id}\n\n{self._order.reason}"
        workflow.set_current_details(f"{heading}\n\n{display.table(('Step', 'Result'), rows)}")


async def take_back(order: m.RollbackInput) -> m.TakenBack:
    """Start the upgrade's one rollback and wait for its end; it goes on if the caller dies.

    When somebody else has started it already, wait for the outcome that one records.
    """
    try:
        return await workflow.execute_child_workflow(
            RollbackWorkflow.run,
            order,
            id=rollback_workflow_id(order.upgrade_id),
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            static_summary=f"taking back {order.upgrade_id}",
        )
    except WorkflowAlreadyStartedError:
        return await hands.await_rollback(m.RollbackOpening(order=order, at=workflow.now()))


async def _announce(order: m.RollbackInput, ended: m.TakenBack) -> None:
    failed = ended.status is not UpgradeStatus.ROLLED_BACK
    event = Event(
        type=EventType.UPGRADE_FAILED if failed else EventType.UPGRADE_ROLLED_BACK,
        subject=order.upgrade_id,
        message=f"{order.upgrade_id}: {order.reason}",
        at=workflow.now(),
    )
    await hands.notify(event)
