"""Spec 8.1, rollback strategies - decides whether an upgrade may be taken back, and with which compensations.

Rules:
- A person's role is checked here, whichever way the order came; the saga and the janitor need none. Where rolling back
  is switched off, a person's order is refused.
- An order names an upgrade, or a capability and means the upgrade that was deployed on it last.
- A running upgrade is taken back by its own saga only: an order from outside is told where to go.
- An upgrade is not taken back from under a later one of the same capability; that one goes first.
- FULL takes every compensation, COMPENSATING all but the snapshot, PARTIAL those of the chosen components; GRADUAL
  steps down through the shares of the rollout first.

Not here: what a compensation does (`activities/compensations.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from temporalio import activity

from activities import messages as m
from activities.approvals import objection_to
from activities.context import LOOP, Context
from activities.upgrades import settle
from domain.compensations import CompensatingAction, CompensationKind, RollbackType
from domain.errors import IllegalTransition
from domain.roles import Command
from domain.snapshots import Component
from domain.transitions import advance
from domain.upgrades import OUTCOMES, UPGRADE_TRANSITIONS, UpgradeRecord, UpgradeStatus

COMPONENTS_OF: Mapping[CompensationKind, frozenset[Component]] = {
    CompensationKind.RESTORE_SNAPSHOT: frozenset(Component),
    CompensationKind.RESTORE_ROUTE: frozenset({Component.CODE}),
    CompensationKind.REMOVE_PLUGIN: frozenset({Component.CODE}),
    CompensationKind.CLOSE_EXPERIMENT: frozenset({Component.STATE}),
    CompensationKind.RELEASE_SLOT: frozenset({Component.STATE}),
}

_NOT_BEGUN = frozenset({UpgradeStatus.AWAITING_APPROVAL, UpgradeStatus.WAITING_FOR_SLOT})
_RUNNING = frozenset({UpgradeStatus.IMPLEMENTING, UpgradeStatus.ROLLING_OUT}) | _NOT_BEGUN
_MET_BY_CALLERS = frozenset({UpgradeStatus.ROLLING_OUT, UpgradeStatus.DEPLOYED, UpgradeStatus.NEEDS_ATTENTION})


class RollbackActivities:
    """Opens and closes rollbacks."""

    def __init__(self, context: Context) -> None:
        self._store = context.store
        self._settings = context.settings

    @activity.defn
    def open_rollback(self, message: m.RollbackOpening) -> m.RollbackBrief:
        """Say whether the upgrade can be taken back and what that takes."""
        order = message.order
        record = self._meant(order.upgrade_id)
        refusal = self._refusal(order, record)
        subject = record.id if record else order.upgrade_id
        self._audit(message, subject, "rollback.refused" if refusal else "rollback.started", refusal or order.reason)
        if refusal or record is None:
            return m.RollbackBrief(refusal=refusal)
        plan = self._store.plans.get(record.id)
        outcome = self._outcome(record)
        self._begin(record, order.reason)
        return m.RollbackBrief(
            upgrade_id=record.id,
            outcome=outcome,
            host=plan.host,
            actions=tuple(action for action in self._store.compensations.of(record.id) if _chosen(order, action)),
            shares=_smaller_shares(record) if order.type is RollbackType.GRADUAL else (),
        )

    @activity.defn
    def close_rollback(self, message: m.RollbackClosing) -> m.Done:
        """Remember how the rollback ended, and settle the upgrade."""
        ended = message.ended
        record = self._store.upgrades.get(message.order.upgrade_id).model_copy(
            update={
                "status": ended.status,
                "reason": message.order.reason,
                "rollback": ended.result,
                "ended_at": message.at,
            }
        )
        self._store.upgrades.put(record)
        settle(self._store, record)
        self._store.audit.append(
            key=f"rollback-{record.id}/{ended.status}/{message.at.isoformat()}",
            at=message.at,
            actor=message.order.actor or LOOP,
            action=f"upgrade.{ended.status}",
            subject=record.id,
            detail=ended.result.model_dump(mode="json"),
        )
        return m.Done()

    @activity.defn
    def await_rollback(self, message: m.RollbackOpening) -> m.TakenBack:
        """Return the outcome that another rollback of the upgrade recorded.

        Raises:
            RollbackStillRunning: it has not yet; the activity is tried again.
        """
        record = self._store.upgrades.get(message.order.upgrade_id)
        if record.rollback is None or record.status not in OUTCOMES:
            raise RollbackStillRunning(record.id)
        return m.TakenBack(status=record.status, result=record.rollback)

    def _meant(self, name: str) -> UpgradeRecord | None:
        """Return the upgrade of that id, or else the last one deployed on the capability of that name."""
        deployed = self._store.upgrades.list(capability=name, status=UpgradeStatus.DEPLOYED)
        return self._store.upgrades.find(name) or max(deployed, key=lambda record: record.started_at, default=None)

    def _refusal(self, order: m.RollbackInput, record: UpgradeRecord | None) -> str:
        if record is None:
            return (
                f"There is no upgrade {order.upgrade_id}, nor one deployed on a capability of that name. "
                "`upgrade-loop upgrades history` lists them."
            )
        if order.origin is m.RollbackOrigin.PERSON:
            return self._objection_to_person(order, record)
        return _not_possible(record)

    def _objection_to_person(self, order: m.RollbackInput, record: UpgradeRecord) -> str:
        if objection := objection_to(self._settings, order.actor or "nobody", Command.ROLLBACK_UPGRADE):
            return objection
        if not self._settings.rollback.enabled:
            return "Rolling back is switched off: `rollback.enabled` is false in the settings."
        if record.status in _RUNNING:
            return f"{record.id} is still {record.status}; send rollback_upgrade to upgrade-{record.capability}."
        later = self._deployed_after(record)
        if later is not None:
            return f"{later.id} was deployed after {record.id} on {record.capability}; roll that back first."
        return _not_possible(record)

    def _deployed_after(self, record: UpgradeRecord) -> UpgradeRecord | None:
        same = self._store.upgrades.list(capability=record.capability, status=UpgradeStatus.DEPLOYED)
        return next((other for other in same if other.started_at > record.started_at), None)

    def _outcome(self, record: UpgradeRecord) -> UpgradeStatus:
        if record.status in _NOT_BEGUN:
            return UpgradeStatus.REJECTED
        if record.status is UpgradeStatus.ROLLING_BACK:
            return UpgradeStatus.ROLLED_BACK if record.stages else UpgradeStatus.FAILED
        return UpgradeStatus.ROLLED_BACK if record.status in _MET_BY_CALLERS else UpgradeStatus.FAILED

    def _begin(self, record: UpgradeRecord, reason: str) -> None:
        if record.status not in _NOT_BEGUN:
            update = {"status": UpgradeStatus.ROLLING_BACK, "reason": reason}
            self._store.upgrades.put(record.model_copy(update=update))

    def _audit(self, message: m.RollbackOpening, subject: str, action: str, detail: str) -> None:
        order = message.order
        self._store.audit.append(
            key=f"rollback-{subject}/{action}/{message.at.isoformat()}",
            at=message.at,
            actor=order.actor or LOOP,
            action=action,
            subject=subject,
            detail={"type": order.type, "origin": order.origin, "detail": detail},
        )


class RollbackStillRunning(Exception):
    """Somebody else's rollback of the upgrade has not recorded its outcome yet."""


def _not_possible(record: UpgradeRecord) -> str:
    if record.status is UpgradeStatus.ROLLING_BACK or record.status in _NOT_BEGUN:
        return ""
    try:
        advance(UPGRADE_TRANSITIONS, record.status, UpgradeStatus.ROLLING_BACK, record.id)
    except IllegalTransition as illegal:
        return f"{illegal.message} {illegal.hint}"
    return ""


def _chosen(order: m.RollbackInput, action: CompensatingAction) -> bool:
    if order.type is RollbackType.COMPENSATING:
        return action.kind is not CompensationKind.RESTORE_SNAPSHOT
    if order.type is RollbackType.PARTIAL:
        return bool(COMPONENTS_OF[action.kind] & set(order.components))
    return True


def _smaller_shares(record: UpgradeRecord) -> tuple[float, ...]:
    """Return the shares to step down through, first in, last out; the last step, to nothing, is the compensations'."""
    reached = [stage.share for stage in record.stages]
    return tuple(share for share in reversed(reached[:-1]) if share > 0)
