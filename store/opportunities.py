"""Appendix A, UpgradeOpportunity - decides how an idea is kept, found again and moved from state to state.

Rules:
- An idea found again refreshes its estimates while nobody has decided on it; what was selected, upgraded, rejected,
  rolled back or failed stays as it is.
- A move is compare-and-set: of two that start from the same state, one wins.
- Only moves of `OPPORTUNITY_TRANSITIONS` are made.

Not here: the table of moves (`domain/opportunities.py`), finding ideas (`engines/opportunities.py`).
"""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import Session

from domain.opportunities import OPPORTUNITY_TRANSITIONS, OpportunityStatus, UpgradeOpportunity
from domain.transitions import advance
from store.records import Records
from store.sessions import Sessions
from store.tables import OpportunityRow

_UNDECIDED = frozenset({OpportunityStatus.OPEN, OpportunityStatus.NEEDS_PERSON})
_ANSWERED_NO = frozenset({OpportunityStatus.REJECTED, OpportunityStatus.ROLLED_BACK, OpportunityStatus.FAILED})


class Opportunities(Records[UpgradeOpportunity]):
    """Every idea for an upgrade, whatever became of it."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__(sessions, OpportunityRow, UpgradeOpportunity)

    def status_of(self, record: UpgradeOpportunity) -> str:
        """Return where the idea stands."""
        return record.status

    def capability_of(self, record: UpgradeOpportunity) -> str | None:
        """Return the capability its remedy changes, if it has a remedy."""
        return record.remedy.capability if record.remedy else None

    def put_found(self, opportunity: UpgradeOpportunity) -> UpgradeOpportunity:
        """Keep an idea that discovery found, unless somebody has already decided on it.

        Returns:
            The idea as it is kept now: new, with fresh estimates, or as it was decided.
        """
        with self._sessions.exclusive(f"opportunity/{opportunity.id}") as session:
            known = self._find(session, opportunity.id, lock=True)
            if known is not None and known.status not in _UNDECIDED:
                return known
            kept = opportunity if known is None else _refreshed(known, opportunity)
            self._put(session, kept)
            return kept

    def move(
        self, opportunity_id: str, expected: Collection[OpportunityStatus], to: OpportunityStatus, reason: str
    ) -> bool:
        """Move an idea to another state, if it is in one of the expected ones.

        Returns:
            Whether it was moved; False when it is in another state, and nothing has changed then.

        Raises:
            NotFound: no such idea.
            IllegalTransition: it is in an expected state from which no move leads to `to`.
        """
        with self._sessions.writing() as session:
            known = self._find(session, opportunity_id, lock=True)
            if known is None:
                raise self._not_found(opportunity_id)
            if known.status not in expected:
                return False
            status = advance(OPPORTUNITY_TRANSITIONS, known.status, to, f"Opportunity {opportunity_id}")
            self._put(session, known.model_copy(update={"status": status, "reason": reason}))
            return True

    def restore(self, session: Session, opportunity: UpgradeOpportunity) -> None:
        """Put an idea back as a snapshot has it, unless it was answered with no since: a restore takes no no back."""
        known = self._find(session, opportunity.id, lock=True)
        if known is None or known.status not in _ANSWERED_NO:
            self._put(session, opportunity)


def _refreshed(known: UpgradeOpportunity, found: UpgradeOpportunity) -> UpgradeOpportunity:
    may_move = found.status in _UNDECIDED and found.status in OPPORTUNITY_TRANSITIONS[known.status]
    status = found.status if may_move else known.status
    return found.model_copy(update={"status": status, "found_at": known.found_at or found.found_at})
