"""Spec 10.1, max_concurrent_upgrades - decides which upgrades may be under way at once.

Rules:
- At most `limit` slots are held, and never two for one capability.
- Asking again for a slot that is held is yes; releasing one that is not held is harmless.

Not here: waiting for a slot (`workflows/upgrade.py`).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func
from sqlmodel import col, delete, select

from domain.upgrades import Slot
from store.sessions import Sessions
from store.tables import SlotRow


class Slots:
    """The slots that are held."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def acquire(self, upgrade_id: str, capability: str, limit: int, at: datetime) -> bool:
        """Take a slot if one is free.

        Args:
            upgrade_id: who asks.
            capability: what they will change.
            limit: how many slots there are.
            at: now.

        Returns:
            Whether the upgrade holds a slot for the capability.
        """
        with self._sessions.exclusive("slots") as session:
            own = session.get(SlotRow, upgrade_id)
            if own is not None:
                return own.capability == capability
            taken = session.exec(select(func.count()).select_from(SlotRow)).one()
            rival = session.exec(select(SlotRow).where(SlotRow.capability == capability)).first()
            if taken >= limit or rival is not None:
                return False
            session.add(SlotRow(upgrade_id=upgrade_id, capability=capability, acquired_at=at))
            session.flush()
            return True

    def release(self, upgrade_id: str) -> bool:
        """Give a slot back; return whether it was held."""
        with self._sessions.writing() as session:
            return session.exec(delete(SlotRow).where(col(SlotRow.upgrade_id) == upgrade_id)).rowcount > 0

    def held(self) -> list[Slot]:
        """Return the slots that are held, the longest held first."""
        query = select(SlotRow).order_by(col(SlotRow.acquired_at), col(SlotRow.upgrade_id))
        with self._sessions.reading() as session:
            return [Slot.model_validate(row.model_dump()) for row in session.exec(query)]
