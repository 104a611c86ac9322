"""Spec 10.1, max_concurrent_upgrades - decides which upgrades may act at the same time.

Rules:
- Places are counted in the store, across cycles and workers.
- Asking again for a place one holds is answered with yes; giving it back twice is harmless.

Not here: how long an upgrade waits for one (`workflows/upgrade.py`).
"""

from __future__ import annotations

from temporalio import activity

from activities import messages as m
from activities.context import Context


class SlotActivities:
    """Hands out places."""

    def __init__(self, context: Context) -> None:
        self._slots = context.store.slots
        self._limit = context.settings.cycle.max_concurrent_upgrades

    @activity.defn
    def acquire_slot(self, message: m.SlotRequest) -> m.SlotAnswer:
        """Try to take a place for an upgrade."""
        acquired = self._slots.acquire(message.upgrade_id, message.capability, self._limit, message.at)
        return m.SlotAnswer(acquired=acquired)

    @activity.defn
    def release_slot(self, message: m.SlotRequest) -> m.Done:
        """Give an upgrade's place back."""
        self._slots.release(message.upgrade_id)
        return m.Done()
