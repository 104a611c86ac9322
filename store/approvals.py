"""Appendix B, approve_upgrade and reject_upgrade - decides what is kept of a person's word.

Rules:
- Every word is kept, in the order given; one with a known id is kept once.

Not here: what a word may say (`domain/approvals.py`).
"""

from __future__ import annotations

from domain.approvals import Approval
from store.journal import Journal, Line
from store.sessions import Sessions
from store.tables import ApprovalRow


class Approvals:
    """Every approval, rejection and expiry."""

    def __init__(self, sessions: Sessions) -> None:
        self._journal = Journal(sessions, ApprovalRow, Approval)

    def put(self, approval: Approval) -> None:
        """Keep a person's word."""
        self._journal.append([Line(approval.id, approval.upgrade_id, approval.at, approval)])

    def of(self, upgrade_id: str) -> list[Approval]:
        """Return what was said about one upgrade, in order."""
        return self._journal.of(upgrade_id)
