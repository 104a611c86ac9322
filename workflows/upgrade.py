"""Spec 9.1, implementation phase - decides how one upgrade is carried out, step by step, and how it is taken back.

The saga:
    open        take the opportunity, or end at once if another upgrade has it
    approval    wait for a person when the decision asks for one; silence is no
    slot        wait for one of the places of `max_concurrent_upgrades`
    steps       snapshot, dependencies, security, performance, experiment, registration, rollout, validation

Rules:
- What takes a step back is written down before the step acts.
- A failure, a cancellation or an order to roll back leads to the one `Rollback` of this upgrade, which goes on whether
  or not this workflow lives.
- An upgrade ends once: deployed, rolled back (callers may have met the candidate), failed (they had not) or rejected.

Not here: what a step does (`activities/`), how a rollout judges (`workflows/rollout.py`).
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow

from activities import messages as m
from domain.approvals import ApprovalVerdict, Order
from domain.events import Event, EventType
from domain.roles import Command
from domain.transitions import advance
from domain.upgrades import OUTCOMES, UPGRADE_TRANSITIONS, UpgradePlan, UpgradeRecord, UpgradeStatus
from workflows import display, hands
from workflows.failures import EXITS, reason_of
from workflows.ids import upgrade_workflow_id
from workflows.orders import OrderDesk
from workflows.rollback import take_back
from workflows.steps import Steps

SLOT_PATIENCE = timedelta(seconds=10)
"""How long to wait before asking for a place again."""

_ORDERS = {
    "approve_upgrade": Command.APPROVE_UPGRADE,
    "reject_upgrade": Command.REJECT_UPGRADE,
    "rollback_upgrade": Command.ROLLBACK_UPGRADE,
}
_EVENT_OF = {
    UpgradeStatus.DEPLOYED: EventType.UPGRADE_DEPLOYED,
    UpgradeStatus.REJECTED: EventType.UPGRADE_REJECTED,
}
"""What is told of an ending; a rollback tells of itself."""

_TAKEN_BACK = frozenset({UpgradeStatus.ROLLED_BACK, UpgradeStatus.FAILED})


@workflow.defn(name="Upgrade")
class UpgradeWorkflow:
    """One upgrade, from its opening to its one outcome."""

    @workflow.init
    def __init__(self, plan: UpgradePlan) -> None:
        self._plan = plan
        self._record = _first_record(plan)
        self._answer: tuple[ApprovalVerdict, Order] | None = None
        self._order_back: Order | None = None
        self._desk = OrderDesk(plan.id, self._refusal, self._take)
        self._desk.open(_ORDERS)

    @workflow.query
    def status(self) -> UpgradeRecord:
        """Tell where the upgrade stands."""
        return self._record

    @workflow.run
    async def run(self, plan: UpgradePlan) -> UpgradeRecord:
        """Carry the upgrade out, or take it back."""
        del plan
        work = asyncio.create_task(self._carry_out())
        try:
            await workflow.wait_condition(lambda: work.done() or self._order_back is not None)
            if not work.done():
                await self._stop(work)
            reason = self._reason_to_stop(work)
        except asyncio.CancelledError:
            await asyncio.shield(self._stop(work))
            reason = "cancelled"
        if reason is not None:
            await asyncio.shield(self._end_early(reason))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._record

    async def _carry_out(self) -> None:
        opened = await hands.open_upgrade(m.UpgradeOpening(plan=self._plan, record=self._record, at=workflow.now()))
        if not opened.opened:
            self._record = self._record.model_copy(update={"status": UpgradeStatus.REJECTED, "reason": opened.reason})
            return
        if not await self._agreed():
            return
        await self._wait_for_slot()
        await self._become(UpgradeStatus.IMPLEMENTING)
        await Steps(self._plan, self._step_done, self._rolling_out).carry_out()
        await self._become(UpgradeStatus.DEPLOYED, "every gate was proved good")

    async def _agreed(self) -> bool:
        if not self._plan.decision.needs_approval or self._plan.approved_by:
            await self._become(UpgradeStatus.WAITING_FOR_SLOT)
            return True
        await self._ask()
        try:
            await workflow.wait_condition(
                lambda: self._answer is not None,
                timeout=self._plan.approval_timeout,
                timeout_summary="waiting for a person's approval",
            )
        except TimeoutError:
            late = Order(actor="nobody", reason=f"nobody answered within {self._plan.approval_timeout}")
            self._answer = (ApprovalVerdict.EXPIRED, late)
        return await self._follow_answer()

    async def _ask(self) -> None:
        await self._become(UpgradeStatus.AWAITING_APPROVAL, "; ".join(self._plan.decision.reasoning))
        await self._tell(EventType.APPROVAL_NEEDED, f"{self._plan.capability} waits for an approval.")

    async def _follow_answer(self) -> bool:
        assert self._answer is not None
        verdict, order = self._answer
        answer = m.Answer(
            upgrade_id=self._plan.id,
            opportunity_id=self._plan.opportunity.id,
            verdict=verdict,
            actor=order.actor,
            reason=order.reason,
            at=workflow.now(),
        )
        await hands.record_answer(answer)
        if verdict is not ApprovalVerdict.APPROVED:
            await self._become(UpgradeStatus.REJECTED, order.reason or f"{verdict} by {order.actor}")
            return False
        self._record = self._record.model_copy(update={"approved_by": order.actor})
        await self._become(UpgradeStatus.WAITING_FOR_SLOT, order.reason)
        await self._tell(EventType.UPGRADE_APPROVED, f"{self._plan.capability} was approved by {order.actor}.")
        return True

    async def _wait_for_slot(self) -> None:
        while True:
            request = m.SlotRequest(upgrade_id=self._plan.id, capability=self._plan.capability, at=workflow.now())
            if (await hands.acquire_slot(request)).acquired:
                return
            await workflow.sleep(SLOT_PATIENCE, summary="all places are taken")

    async def _stop(self, work: asyncio.Task[None]) -> None:
        work.cancel()
        await asyncio.wait([work])

    def _reason_to_stop(self, work: asyncio.Task[None]) -> str | None:
        if self._order_back is not None and self._record.status is not UpgradeStatus.REJECTED:
            return self._order_back.reason or f"ordered by {self._order_back.actor}"
        if work.cancelled():
            return "cancelled"
        failure = work.exception()
        if failure is None:
            return None
        if isinstance(failure, EXITS):
            return reason_of(failure)
        raise failure

    async def _end_early(self, reason: str) -> None:
        if self._record.status in {UpgradeStatus.AWAITING_APPROVAL, UpgradeStatus.WAITING_FOR_SLOT}:
            await self._become(UpgradeStatus.REJECTED, reason)
            return
        actor = self._order_back.actor if self._order_back else ""
        order = m.RollbackInput(upgrade_id=self._plan.id, reason=reason, actor=actor, origin=m.RollbackOrigin.SAGA)
        outcome = await take_back(order)
        self._record = self._record.model_copy(
            update={"status": outcome.status, "reason": reason, "rollback": outcome.result, "ended_at": workflow.now()}
        )
        self._show()

    async def _step_done(self, changes: m.StepDone) -> None:
        self._record = self._record.model_copy(
            update={
                "steps": (*self._record.steps, changes.step),
                "stages": changes.stages or self._record.stages,
                "snapshot_id": changes.snapshot_id or self._record.snapshot_id,
            }
        )
        await self._remember(f"step.{changes.step}", changes.summary)

    async def _rolling_out(self) -> None:
        await self._become(UpgradeStatus.ROLLING_OUT)

    async def _become(self, status: UpgradeStatus, reason: str = "") -> None:
        advance(UPGRADE_TRANSITIONS, self._record.status, status, self._plan.id)
        ended = workflow.now() if status in OUTCOMES else None
        self._record = self._record.model_copy(update={"status": status, "reason": reason, "ended_at": ended})
        await self._remember(f"upgrade.{status}", reason)
        if status in _EVENT_OF:
            await self._tell(_EVENT_OF[status], f"{self._plan.capability} {status}: {reason}")

    async def _remember(self, action: str, detail: str) -> None:
        self._show()
        report = m.UpgradeReport(record=self._record, action=action, detail=detail, at=workflow.now())
        await hands.record_upgrade(report)

    async def _tell(self, event: EventType, message: str) -> None:
        await hands.notify(Event(type=event, subject=self._plan.id, message=message, at=workflow.now()))

    def _show(self) -> None:
        display.show_status(status=self._record.status)
        workflow.set_current_details(_details(self._plan, self._record, self._desk.notes))

    def _refusal(self, command: Command) -> str | None:
        status = self._record.status
        if command is Command.ROLLBACK_UPGRADE:
            return f"{self._plan.id} has already ended: {status}." if status in OUTCOMES else None
        if status is not UpgradeStatus.AWAITING_APPROVAL or self._answer is not None:
            return f"{self._plan.id} is not waiting for an approval; it is {status}."
        return None

    def _take(self, command: Command, order: Order) -> None:
        if command is Command.ROLLBACK_UPGRADE:
            self._order_back = order
        elif command is Command.APPROVE_UPGRADE:
            self._answer = (ApprovalVerdict.APPROVED, order)
        else:
            self._answer = (ApprovalVerdict.REJECTED, order)


def _first_record(plan: UpgradePlan) -> UpgradeRecord:
    remedy = plan.opportunity.remedy
    assert remedy is not None
    asks = plan.decision.needs_approval and not plan.approved_by
    return UpgradeRecord(
        id=plan.id,
        cycle_id=plan.cycle_id,
        opportunity_id=plan.opportunity.id,
        capability=plan.capability,
        from_version=remedy.replaces.version if remedy.replaces else None,
        to_version=remedy.package.version,
        status=UpgradeStatus.AWAITING_APPROVAL if asks else UpgradeStatus.WAITING_FOR_SLOT,
        risk=plan.decision.scores.risk,
        confidence=plan.decision.confidence,
        approved_by=plan.approved_by,
        started_at=workflow.now(),
    )


def _details(plan: UpgradePlan, record: UpgradeRecord, notes: list[str]) -> str:
    word = "taken back" if record.status in _TAKEN_BACK else "done"
    done = ((step.name, word if step.type in record.steps else "") for step in plan.implementation_steps)
    parts = [
        f"## {record.capability}: {record.from_version or 'new'} -> {record.to_version}",
        f"**{record.status}** {record.reason}".strip(),
        plan.opportunity.description,
        display.table(("Step", ""), done),
    ]
    parts += [f"**Mind:** {warning}" for warning in plan.warnings if record.status not in OUTCOMES]
    workflow_id = upgrade_workflow_id(plan.capability)
    if record.status is UpgradeStatus.AWAITING_APPROVAL:
        names = ("approve_upgrade", "reject_upgrade")
        parts.append(display.command_block(display.update_command(workflow_id, name) for name in names))
    elif record.status not in OUTCOMES:
        parts.append(display.command_block([display.update_command(workflow_id, "rollback_upgrade")]))
    parts += [f"_{note}_" for note in notes]
    return "\n\n".join(parts)
