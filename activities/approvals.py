"""Spec 11.2 and Appendix B, approvals - decides whether a person may give an order, and remembers what they said.

Rules:
- The role of a person comes from the settings; somebody who is not there has none, and may do nothing.
- A refused order is an audit entry as well as an accepted one.

Not here: the role table (`domain/roles.py`).
"""

from __future__ import annotations

from temporalio import activity

from activities import messages as m
from activities.context import Context
from config.settings import Settings
from domain.approvals import Approval
from domain.errors import PermissionDenied
from domain.roles import Actor, Command, require


class ApprovalActivities:
    """Checks orders and remembers answers."""

    def __init__(self, context: Context) -> None:
        self._settings = context.settings
        self._store = context.store

    @activity.defn
    def authorise(self, message: m.OrderCheck) -> m.Authorised:
        """Say whether the person may give the order."""
        order = message.order
        objection = objection_to(self._settings, order.actor, message.command)
        verb = "refused" if objection else "accepted"
        once = order.request_id or message.at.isoformat()
        self._store.audit.append(
            key=f"{message.subject}/{message.command}/{verb}/{order.actor}/{once}",
            at=message.at,
            actor=order.actor,
            action=f"order.{verb}",
            subject=message.subject,
            detail={"command": message.command, "reason": order.reason, "refusal": objection},
        )
        return m.Authorised(allowed=not objection, reason=objection)

    @activity.defn
    def record_answer(self, message: m.Answer) -> m.Done:
        """Remember a person's answer, or that there was none."""
        approval = Approval(
            id=f"approval-{message.upgrade_id}",
            upgrade_id=message.upgrade_id,
            opportunity_id=message.opportunity_id,
            verdict=message.verdict,
            actor=message.actor,
            reason=message.reason,
            at=message.at,
        )
        self._store.approvals.put(approval)
        self._store.audit.append(
            key=approval.id,
            at=message.at,
            actor=message.actor,
            action=f"approval.{message.verdict}",
            subject=message.upgrade_id,
            detail={"reason": message.reason},
        )
        return m.Done()


def objection_to(settings: Settings, actor: str, command: Command) -> str:
    """Return why a person may not give an order; empty when they may."""
    role = settings.roles.get(actor)
    if role is None:
        known = ", ".join(sorted(settings.roles))
        return f"{actor} has no role here. People with one: {known}."
    try:
        require(Actor(name=actor, role=role), command)
    except PermissionDenied as denied:
        return f"{denied.message} {denied.hint}"
    return ""
