"""Appendix B, public API - decides what each call of the API does, whoever makes it.

Rules:
- Reading needs the store only; ordering needs Temporal.
- An order names the person who gives it; their role is checked on the way in, here or in the workflow.
- Approving an opportunity that waits answers its upgrade; approving one that was refused, rejected, failed or rolled
  back starts an upgrade of it.

Not here: words and exit codes (`worker/cli.py`).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities import messages as m
from activities.approvals import objection_to
from activities.context import Context
from activities.decisions import DecisionActivities
from domain.approvals import Order
from domain.compensations import RollbackType
from domain.cycles import CycleRecord, Trigger
from domain.errors import IllegalTransition, NotFound, PermissionDenied, UpgradeImplementationFailed
from domain.opportunities import OpportunityStatus, UpgradeOpportunity
from domain.roles import Command
from domain.snapshots import Component
from domain.upgrades import OUTCOMES, UpgradePlan, UpgradeRecord, UpgradeStatus
from workflows import display
from workflows.ids import rollback_workflow_id, upgrade_workflow_id

_CAN_BE_ORDERED = frozenset(
    {
        OpportunityStatus.OPEN,
        OpportunityStatus.REJECTED,
        OpportunityStatus.FAILED,
        OpportunityStatus.ROLLED_BACK,
    }
)


@dataclass(frozen=True)
class RollbackOrder:
    """What a person wants taken back, and how."""

    upgrade_id: str
    type: RollbackType = RollbackType.FULL
    components: tuple[Component, ...] = ()


class SelfUpgradingLoopAPI:
    """The public API.

    Args:
        context: the store and the settings.
        client: the Temporal Service.
        actor: who gives the orders.
    """

    def __init__(self, context: Context, client: Client, actor: str) -> None:
        self._context = context
        self._store = context.store
        self._client = client
        self._actor = actor

    async def trigger_cycle(self, trigger: Trigger = Trigger.MANUAL) -> str:
        """Start a cycle now and return its id."""
        self._require(Command.TRIGGER_CYCLE)
        temporal = self._context.settings.temporal
        cycle_id = f"cycle-{trigger}-{uuid.uuid4().hex[:12]}"
        await self._client.start_workflow(
            "UpgradeCycle",
            m.CycleInput(trigger=trigger, host=temporal.host_name),
            id=cycle_id,
            task_queue=temporal.task_queue,
            static_summary=f"{trigger} cycle",
        )
        return cycle_id

    async def get_cycle_status(self, cycle_id: str) -> CycleRecord:
        """Return where a cycle stands.

        Raises:
            NotFound: there is no such cycle.
        """
        return self._store.cycles.get(cycle_id)

    async def list_opportunities(self) -> list[UpgradeOpportunity]:
        """Return all opportunities, the best first."""
        found = self._store.opportunities.list(limit=1_000)
        return sorted(found, key=lambda opportunity: (-opportunity.score, opportunity.id))

    async def approve_upgrade(self, opportunity_id: str, reason: str = "") -> str:
        """Approve an opportunity and return the id of its upgrade."""
        return await self._answer("approve_upgrade", opportunity_id, reason) or await self._start(opportunity_id)

    async def reject_upgrade(self, opportunity_id: str, reason: str) -> str | None:
        """Reject an opportunity; return the id of the upgrade that was waiting, if one was."""
        waiting = await self._answer("reject_upgrade", opportunity_id, reason)
        if waiting is None:
            self._require(Command.REJECT_UPGRADE)
            self._reject_unasked(opportunity_id, reason)
        return waiting

    async def rollback_upgrade(self, order: RollbackOrder, reason: str) -> m.TakenBack:
        """Take an upgrade back, running or finished, and return how that ended."""
        record = self._store.upgrades.get(order.upgrade_id)
        if record.status not in OUTCOMES and record.status is not UpgradeStatus.ROLLING_BACK:
            return await self._roll_back_running(record, reason)
        start = m.RollbackInput(
            upgrade_id=record.id,
            type=order.type,
            components=order.components,
            reason=reason or f"ordered by {self._actor}",
            actor=self._actor,
        )
        handle = await self._client.start_workflow(
            "Rollback",
            start,
            id=rollback_workflow_id(record.id),
            task_queue=self._context.settings.temporal.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"taking back {record.id}",
            result_type=m.TakenBack,
        )
        ended: m.TakenBack = await handle.result()
        return ended

    async def get_upgrade_history(self) -> list[UpgradeRecord]:
        """Return all upgrades, the newest first."""
        return [self.with_stages(record) for record in self._store.upgrades.list(limit=1_000)]

    def with_stages(self, record: UpgradeRecord) -> UpgradeRecord:
        """Return an upgrade's record with the stages of its rollout as they stand now."""
        rollout = self._store.rollouts.find(f"rollout-{record.id}")
        return record.model_copy(update={"stages": rollout.stages}) if rollout else record

    async def order(self, workflow_id: str, name: str, reason: str) -> str:
        """Give an order to a running workflow by Update.

        Raises:
            NotFound: no such workflow is running.
            IllegalTransition: the workflow refuses.
            PermissionDenied: the person may not.
        """
        try:
            answer: str = await self._client.get_workflow_handle(workflow_id).execute_update(
                name, Order(actor=self._actor, reason=reason), result_type=str
            )
        except WorkflowUpdateFailedError as failed:
            refusal = getattr(failed.cause, "type", "")
            kind = PermissionDenied if refusal == "PermissionDenied" else IllegalTransition
            raise kind(str(failed.cause)) from failed
        except RPCError as failed:
            if failed.status is RPCStatusCode.NOT_FOUND:
                raise NotFound(f"No workflow {workflow_id} is running.") from failed
            raise
        return answer

    async def _answer(self, name: str, opportunity_id: str, reason: str) -> str | None:
        opportunity = self._store.opportunities.get(opportunity_id)
        waiting = [
            record
            for record in self._store.upgrades.list(status=UpgradeStatus.AWAITING_APPROVAL)
            if record.opportunity_id == opportunity.id
        ]
        if not waiting:
            return None
        await self.order(upgrade_workflow_id(waiting[0].capability), name, reason)
        return waiting[0].id

    async def _start(self, opportunity_id: str) -> str:
        self._require(Command.APPROVE_UPGRADE)
        opportunity = self._store.opportunities.get(opportunity_id)
        if opportunity.status not in _CAN_BE_ORDERED or opportunity.remedy is None:
            raise IllegalTransition(
                f"{opportunity_id} is {opportunity.status} and cannot be upgraded.",
                hint="Only an opportunity with a remedy, and without an upgrade under way, can be approved.",
            )
        plan = self._plan(opportunity)
        try:
            await self._client.start_workflow(
                "Upgrade",
                plan,
                id=upgrade_workflow_id(plan.capability),
                task_queue=self._context.settings.temporal.task_queue,
                search_attributes=display.upgrade_attributes(plan),
                static_summary=f"{plan.capability}: ordered by {self._actor}",
            )
        except WorkflowAlreadyStartedError as running:
            raise IllegalTransition(
                f"Another upgrade of {plan.capability} is under way.", hint="Wait for its end, or roll it back first."
            ) from running
        return plan.id

    def _plan(self, opportunity: UpgradeOpportunity) -> UpgradePlan:
        decisions = DecisionActivities(self._context)
        moment = m.CycleMoment(
            cycle_id=f"order-{uuid.uuid4().hex[:8]}",
            host=self._context.settings.temporal.host_name,
            at=datetime.now(UTC),
        )
        decision = decisions.decide(moment, opportunity).model_copy(update={"approved": True})
        return decisions.plan(opportunity, decision, moment).model_copy(update={"approved_by": self._actor})

    def _reject_unasked(self, opportunity_id: str, reason: str) -> None:
        opportunity = self._store.opportunities.get(opportunity_id)
        expected = frozenset({OpportunityStatus.OPEN, OpportunityStatus.NEEDS_PERSON})
        if not self._store.opportunities.move(opportunity_id, expected, OpportunityStatus.REJECTED, reason):
            raise IllegalTransition(
                f"{opportunity_id} is {opportunity.status} and cannot be rejected.",
                hint="Roll a running or finished upgrade back with `upgrade-loop upgrades rollback`.",
            )

    async def _roll_back_running(self, record: UpgradeRecord, reason: str) -> m.TakenBack:
        handle = self._client.get_workflow_handle(upgrade_workflow_id(record.capability), result_type=UpgradeRecord)
        await self.order(handle.id, "rollback_upgrade", reason or f"ordered by {self._actor}")
        ended = await handle.result()
        if ended.rollback is None:
            raise UpgradeImplementationFailed(f"{record.id} ended as {ended.status} before it had changed anything.")
        return m.TakenBack(status=ended.status, result=ended.rollback)

    def _require(self, command: Command) -> None:
        if objection := objection_to(self._context.settings, self._actor, command):
            raise PermissionDenied(objection)
