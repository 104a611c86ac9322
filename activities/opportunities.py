"""Spec 9.1, analysis phase - decides what becomes of a cycle's discoveries.

Rules:
- Every pattern and gap becomes an opportunity, or strengthens one that is known already.
- What was rejected, failed or rolled back is not proposed again by being found again.

Not here: remedies, estimates and rank (`engines/opportunities.py`).
"""

from __future__ import annotations

from temporalio import activity

from activities import messages as m
from activities.context import LOOP, Context
from activities.landscape import landscape_of
from domain.opportunities import OpportunityStatus, UpgradeOpportunity
from engines.opportunities import build

KNOWN_LIMIT = 10_000


class OpportunityActivities:
    """Turns discoveries into opportunities."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    @activity.defn
    def analyse_opportunities(self, message: m.CycleMoment) -> m.Analysed:
        """Build, rank and keep the opportunities of a cycle."""
        patterns, gaps = self._store.discoveries.of(message.cycle_id)
        known = {one.id: one for one in self._store.opportunities.list(limit=KNOWN_LIMIT)}
        built = build(patterns, gaps, landscape_of(self._context), known)
        kept = [self._keep(message, opportunity, is_new=opportunity.id not in known) for opportunity in built]
        actionable = [one for one in kept if one.status is OpportunityStatus.OPEN and one.remedy is not None]
        return m.Analysed(opportunity_ids=tuple(one.id for one in kept), actionable=len(actionable))

    def _keep(self, message: m.CycleMoment, opportunity: UpgradeOpportunity, *, is_new: bool) -> UpgradeOpportunity:
        found = opportunity if opportunity.found_at else opportunity.model_copy(update={"found_at": message.at})
        kept = self._store.opportunities.put_found(found)
        if is_new:
            self._store.audit.append(
                key=f"{kept.id}/found",
                at=message.at,
                actor=LOOP,
                action="opportunity.found",
                subject=kept.id,
                detail={"description": kept.description, "score": kept.score, "cycle": message.cycle_id},
            )
        return kept
