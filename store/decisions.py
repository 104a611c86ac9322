"""Spec 9.2, decisions - decides what is kept of the answers to an opportunity.

Rules:
- Each cycle answers an opportunity at most once; a repeated answer replaces the one before.

Not here: the answer itself (`engines/decisions.py`).
"""

from __future__ import annotations

from domain.decisions import Decision
from store.journal import Journal, Line
from store.sessions import Sessions
from store.tables import DecisionRow


class Decisions:
    """Every answer that was given."""

    def __init__(self, sessions: Sessions) -> None:
        self._journal = Journal(sessions, DecisionRow, Decision)

    def put(self, cycle_id: str, decision: Decision) -> None:
        """Keep a cycle's answer."""
        line_id = f"{cycle_id}/{decision.opportunity_id}"
        self._journal.replace([Line(line_id, decision.opportunity_id, None, decision)])

    def of(self, opportunity_id: str) -> list[Decision]:
        """Return the answers to one opportunity, newest first."""
        return self._journal.of(opportunity_id)[::-1]
