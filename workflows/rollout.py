"""Spec 5.1, progressive delivery - decides when a rollout looks, acts and waits.

Rules:
- It looks at the running stage whenever the last decision asked it to, or an order comes in; it acts on what the gates
  say and never on its own opinion.
- A pause stops the stage's clock, not the watch: a gate proved bad rolls back a paused rollout too.
- An order that comes in before the first stage waits for it. One that comes in while gates are read makes what they
  said out of date, unless it was to roll back.
- Rolled back, it takes the traffic away from the candidate at once; the upgrade takes back the rest.
- The place among the concurrent upgrades is given back when the last stage begins: from there the rollout only watches.
- At a stage's end, or when the history grows long, it continues as new and carries its state along.

Not here: the judgement (`engines/rollouts.py`), the counts and routes (`activities/rollouts.py`).
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import NoReturn

from temporalio import workflow

from activities import messages as m
from domain.approvals import Order
from domain.events import Event, EventType
from domain.roles import Command
from domain.rollouts import (
    ROLLOUT_TRANSITIONS,
    GateVerdict,
    RolloutAction,
    RolloutDecision,
    RolloutResult,
    RolloutStatus,
    StageRecord,
    StageState,
    StageStatus,
)
from domain.transitions import advance
from workflows import display, hands
from workflows.failures import EXITS, reason_of
from workflows.orders import OrderDesk

_ORDERS = {
    "pause": Command.PAUSE,
    "resume": Command.RESUME,
    "promote": Command.PROMOTE,
    "abort": Command.ROLLBACK_UPGRADE,
}


@workflow.defn(name="Rollout")
class RolloutWorkflow:
    """One rollout, stage after stage."""

    @workflow.init
    def __init__(self, start: m.RolloutInput) -> None:
        self._rollout = start.rollout
        self._stage = start.stage
        self._paused_since: datetime | None = start.paused_since
        self._news = False
        self._taken: list[str] = []
        self._decision: RolloutDecision | None = None
        self._desk = OrderDesk(start.rollout.id, self._refusal, self._take, start.seen_requests, self._can_act)
        self._desk.open(_ORDERS)

    @workflow.query
    def status(self) -> m.RolloutView:
        """Tell where the rollout stands and what the last look said."""
        return m.RolloutView(rollout=self._rollout, stage=self._stage, decision=self._decision)

    @workflow.run
    async def run(self, start: m.RolloutInput) -> RolloutResult:
        """Roll out until everyone is served by the candidate, or nobody is."""
        del start
        try:
            await self._roll_out()
        except EXITS as failure:
            await asyncio.shield(self._give_up(f"stopped: {reason_of(failure)}"))
            if isinstance(failure, asyncio.CancelledError):
                raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        return RolloutResult(status=self._rollout.status, reason=self._rollout.reason, stages=self._rollout.stages)

    async def _roll_out(self) -> None:
        if self._stage is None:
            await self._begin(0)
        while not self._is_over():
            await self._look()

    async def _look(self) -> None:
        self._news = False
        await self._remember_orders()
        assert self._stage is not None
        now = workflow.now()
        judged = await hands.judge_stage(m.JudgeInput(rollout=self._rollout, state=self._state(now), at=now))
        self._decision = judged
        self._note_counts(judged)
        if self._news and judged.action is not RolloutAction.ROLLBACK:
            return
        match judged.action:
            case RolloutAction.ROLLBACK:
                self._end_stage(StageStatus.FAILED, judged.reason)
                await self._give_up(judged.reason)
            case RolloutAction.ADVANCE:
                await self._advance(judged.reason)
            case RolloutAction.PAUSE:
                await self._pause(judged.reason, ask=True)
                await self._wait(judged.next_at)
            case RolloutAction.HOLD:
                self._show()
                await self._wait(judged.next_at)

    async def _advance(self, reason: str) -> None:
        assert self._stage is not None
        self._end_stage(StageStatus.PASSED, reason)
        following = self._stage.index + 1
        if following < len(self._rollout.plan.stages):
            await self._begin(following)
            await self._continue_if_long(stage_ended=True)
            return
        await hands.finish_rollout(self._report("rollout.finished", reason))
        self._become(RolloutStatus.COMPLETE, reason)
        await self._remember("rollout.complete", reason)

    async def _begin(self, index: int) -> None:
        now = workflow.now()
        stage = self._rollout.plan.stages[index]
        self._become(RolloutStatus.RUNNING, "")
        if index == len(self._rollout.plan.stages) - 1:
            slot = m.SlotRequest(upgrade_id=self._rollout.upgrade_id, capability=self._rollout.capability, at=now)
            await hands.release_slot(slot)
        await hands.activate_stage(m.StageInput(rollout=self._rollout, index=index, at=now))
        started = workflow.now()
        self._stage = StageState(index=index, started_at=started)
        record = StageRecord(name=stage.name, share=stage.share, status=StageStatus.RUNNING, started_at=started)
        self._rollout = self._rollout.model_copy(update={"stages": (*self._rollout.stages, record)})
        await self._remember(f"stage.{stage.name}.started", f"share {stage.share:.0%}")

    async def _pause(self, reason: str, *, ask: bool) -> None:
        if self._rollout.status is RolloutStatus.PAUSED:
            return
        self._paused_since = workflow.now()
        self._become(RolloutStatus.PAUSED, reason)
        self._change_stage(status=StageStatus.NEEDS_ATTENTION, reason=reason)
        await self._remember("rollout.paused", reason)
        if ask:
            event = Event(
                type=EventType.ROLLOUT_NEEDS_ATTENTION,
                subject=self._rollout.upgrade_id,
                message=f"{self._rollout.capability}: {reason}",
                at=workflow.now(),
            )
            await hands.notify(event)

    async def _wait(self, until: datetime) -> None:
        patience = max(until - workflow.now(), timedelta(seconds=1))
        try:
            await workflow.wait_condition(lambda: self._news, timeout=patience, timeout_summary="until the next look")
        except TimeoutError:
            self._news = False
        await self._continue_if_long(stage_ended=False)

    async def _give_up(self, reason: str) -> None:
        if self._is_over():
            return
        await hands.set_share(
            m.ShareChange(upgrade_id=self._rollout.upgrade_id, share=0.0, at=workflow.now()), self._rollout.host
        )
        self._become(RolloutStatus.ROLLED_BACK, reason)
        await self._remember("rollout.rolled_back", reason)

    async def _continue_if_long(self, *, stage_ended: bool) -> None:
        if stage_ended or workflow.info().is_continue_as_new_suggested():
            await workflow.wait_condition(workflow.all_handlers_finished)
            await self._remember_orders()
            self._continue_as_new()

    def _continue_as_new(self) -> NoReturn:
        carried = m.RolloutInput(
            rollout=self._rollout,
            stage=self._stage,
            paused_since=self._paused_since,
            seen_requests=self._desk.seen,
        )
        workflow.continue_as_new(carried)

    def _refusal(self, command: Command) -> str | None:
        status = self._rollout.status
        if self._is_over():
            return f"{self._rollout.id} is over: {status}."
        if command is Command.RESUME and status is not RolloutStatus.PAUSED:
            return f"{self._rollout.id} is not paused; it is {status}."
        if command is Command.PAUSE and status is RolloutStatus.PAUSED:
            return f"{self._rollout.id} is paused already."
        return None

    def _take(self, command: Command, order: Order) -> None:
        assert self._stage is not None
        reason = f"{command} by {order.actor}: {order.reason}".rstrip(": ")
        if command is Command.ROLLBACK_UPGRADE:
            self._stage = self._stage.model_copy(update={"abort_reason": reason})
        elif command is Command.PAUSE:
            self._paused_since = workflow.now()
            self._become(RolloutStatus.PAUSED, reason)
        else:
            self._resume()
            if command is Command.PROMOTE:
                self._stage = self._stage.model_copy(update={"approved": True})
        self._taken.append(reason)
        self._news = True

    def _can_act(self) -> bool:
        return self._stage is not None or self._is_over()

    async def _remember_orders(self) -> None:
        while self._taken:
            await self._remember("rollout.ordered", self._taken.pop(0))

    def _resume(self) -> None:
        if self._paused_since is None or self._stage is None:
            return
        spent = workflow.now() - self._paused_since
        self._paused_since = None
        self._stage = self._stage.model_copy(
            update={"paused_for": self._stage.paused_for + spent, "resumed_at": workflow.now()}
        )
        self._become(RolloutStatus.RUNNING, "")
        self._change_stage(status=StageStatus.RUNNING, reason="")

    def _state(self, now: datetime) -> StageState:
        assert self._stage is not None
        waiting = now - self._paused_since if self._paused_since else timedelta(0)
        return self._stage.model_copy(
            update={"paused": self._paused_since is not None, "paused_for": self._stage.paused_for + waiting}
        )

    def _note_counts(self, judged: RolloutDecision) -> None:
        assert self._stage is not None
        blind = any(look.verdict is GateVerdict.BLIND for look in judged.evaluations)
        since = (self._stage.blind_since or workflow.now()) if blind else None
        self._stage = self._stage.model_copy(update={"blind_since": since})
        if judged.evaluations:
            first = judged.evaluations[0]
            self._change_stage(n=first.n, bad=first.bad)

    def _end_stage(self, status: StageStatus, reason: str) -> None:
        self._change_stage(status=status, reason=reason, ended_at=workflow.now())

    def _change_stage(self, **changes: object) -> None:
        *before, last = self._rollout.stages
        self._rollout = self._rollout.model_copy(update={"stages": (*before, last.model_copy(update=changes))})

    def _become(self, status: RolloutStatus, reason: str) -> None:
        advance(ROLLOUT_TRANSITIONS, self._rollout.status, status, self._rollout.id)
        self._rollout = self._rollout.model_copy(update={"status": status, "reason": reason})

    def _is_over(self) -> bool:
        return self._rollout.status in {RolloutStatus.COMPLETE, RolloutStatus.ROLLED_BACK}

    def _report(self, action: str, detail: str) -> m.RolloutReport:
        return m.RolloutReport(rollout=self._rollout, action=action, detail=detail, at=workflow.now())

    async def _remember(self, action: str, detail: str) -> None:
        self._show()
        await hands.record_rollout(self._report(action, detail))

    def _show(self) -> None:
        display.show_status(status=self._rollout.status)
        workflow.set_current_details(display.rollout_details(self._rollout, self._decision, self._desk.notes))
