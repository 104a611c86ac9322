"""Spec 9.1, cycle records - decides what is remembered of a cycle.

Rules:
- The workflow owns the record; it is stored whole, and every change of it is an audit entry.

Not here: what the phases do.
"""

from __future__ import annotations

from temporalio import activity

from activities import messages as m
from activities.context import LOOP, Context


class CycleActivities:
    """Remembers cycles."""

    def __init__(self, context: Context) -> None:
        self._store = context.store

    @activity.defn
    def record_cycle(self, message: m.CycleReport) -> m.Done:
        """Remember a cycle as it is now."""
        record = message.record
        self._store.cycles.put(record)
        self._store.audit.append(
            key=f"{record.id}/{message.action}",
            at=message.at,
            actor=LOOP,
            action=message.action,
            subject=record.id,
            detail={"detail": message.detail, "status": record.status},
        )
        return m.Done()
