"""Spec 9.2, decision - decides what the answer to an opportunity looks like.

Rules:
- Five factors in [0, 1], one composite in [0, 1], one answer.
- An approved decision says whether a person must agree before anything is done.

Not here: the formula (`engines/decisions.py`).
"""

from __future__ import annotations

from domain.base import Model, Share


class DecisionLimits(Model):
    """Where the answers change; the settings under `decision`.

    Attributes:
        approve_at: composite from which an opportunity is approved.
        auto_approve_threshold: composite from which nobody is asked.
        require_human_approval_above_risk: risk above which a person is always asked.
    """

    approve_at: Share = 0.7
    auto_approve_threshold: Share = 0.85
    require_human_approval_above_risk: Share = 0.6


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
