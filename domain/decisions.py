"""Spec 9.2, decision - decides what the answer to an opportunity looks like.

Rules:
- Five factors in [0, 1], one composite in [0, 1], one answer.
- An approved decision says whether a person must agree before anything is done.

Not here: the formula (`engines/decisions.py`).
"""

from __future__ import annotations

from domain.base import Model, Share


class DecisionScores(Model):
    """The five factors of 9.2."""

    value: Share
    risk: Share
    complexity: Share
    alignment: Share
    resources: Share


class Decision(Model):
    """The answer to one opportunity.

    Attributes:
        confidence: the composite score when approved, one minus it when not (9.2).
        needs_approval: whether a person must agree first.
        conditions: what must hold during the upgrade.
        recommendation: what would make a refused opportunity acceptable.
    """

    opportunity_id: str
    approved: bool
    confidence: Share
    composite: Share
    scores: DecisionScores
    reasoning: tuple[str, ...]
    needs_approval: bool = False
    conditions: tuple[str, ...] = ()
    recommendation: str = ""
