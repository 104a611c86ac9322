"""Spec 9.1, upgrade records - decides which upgrade gets an opportunity, and what is remembered of it.

Rules:
- An opportunity is taken by one upgrade only, in one database step; asking again for one's own is answered with yes.
- When an upgrade ends, its opportunity learns the outcome and its place among the concurrent upgrades is given back.

Not here: taking back (`activities/rollbacks.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from temporalio import activity

from activities import messages as m
from activities.context import LOOP, Context
from domain.opportunities import OpportunityStatus
from domain.upgrades import OUTCOMES, UpgradeRecord, UpgradeStatus
from store.database import Store

OPPORTUNITY_AFTER: Mapping[UpgradeStatus, OpportunityStatus] = {
    UpgradeStatus.DEPLOYED: OpportunityStatus.UPGRADED,
    UpgradeStatus.REJECTED: OpportunityStatus.REJECTED,
    UpgradeStatus.ROLLED_BACK: OpportunityStatus.ROLLED_BACK,
    UpgradeStatus.FAILED: OpportunityStatus.FAILED,
    UpgradeStatus.NEEDS_ATTENTION: OpportunityStatus.FAILED,
}

_BY_THE_LOOP = frozenset({OpportunityStatus.OPEN})
_BY_A_PERSON = frozenset(
    {
        OpportunityStatus.OPEN,
        OpportunityStatus.REJECTED,
        OpportunityStatus.FAILED,
        OpportunityStatus.ROLLED_BACK,
    }
)


class UpgradeActivities:
    """Opens and remembers upgrades."""

    def __init__(self, context: Context) -> None:
        self._store = context.store

    @activity.defn
    def open_upgrade(self, message: m.UpgradeOpening) -> m.Opened:
        """Take the opportunity for this upgrade."""
        plan = message.plan
        if self._store.upgrades.find(plan.id) is not None:
            return m.Opened(opened=True)
        expected = _BY_A_PERSON if plan.approved_by else _BY_THE_LOOP
        if not self._store.opportunities.move(plan.opportunity.id, expected, OpportunityStatus.SELECTED, plan.id):
            current = self._store.opportunities.get(plan.opportunity.id)
            return m.Opened(opened=False, reason=f"opportunity {current.id} is {current.status}: {current.reason}")
        self._store.plans.put(plan)
        self._remember(m.UpgradeReport(record=message.record, action="upgrade.opened", at=message.at))
        return m.Opened(opened=True)

    @activity.defn
    def record_upgrade(self, message: m.UpgradeReport) -> m.Done:
        """Remember an upgrade as it is now, and settle it when it has ended."""
        self._remember(message)
        if message.record.status in OUTCOMES:
            settle(self._store, message.record)
        return m.Done()

    def _remember(self, message: m.UpgradeReport) -> None:
        record = message.record
        self._store.upgrades.put(record)
        self._store.audit.append(
            key=f"{record.id}/{message.action}",
            at=message.at,
            actor=LOOP,
            action=message.action,
            subject=record.id,
            detail={"detail": message.detail, "status": record.status},
        )


def settle(store: Store, record: UpgradeRecord) -> None:
    """Tell the opportunity the outcome and give the place back."""
    expected = frozenset({OpportunityStatus.SELECTED, OpportunityStatus.UPGRADED})
    store.opportunities.move(record.opportunity_id, expected, OPPORTUNITY_AFTER[record.status], record.reason)
    store.slots.release(record.id)
