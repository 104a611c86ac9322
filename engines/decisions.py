"""Spec 9.2, evaluation - decides whether an opportunity is approved, and whether a person must agree first.

    composite = 0.35 value + 0.25 (1 - risk) + 0.20 (1 - complexity) + 0.15 alignment + 0.05 resources

Rules:
- Approved from `approve_at` on, the threshold itself included; the confidence is the composite, or one minus it.
- A person is asked when the composite is below `auto_approve_threshold` or the risk above
  `require_human_approval_above_risk`; a value that meets its limit exactly asks nobody. A person is asked, too, when
  it is not proved that the callers of the running version are kept.
- An opportunity without a remedy is never approved: there is nothing to install.
- Composites are rounded to twelve digits, so that a sum that is 0.7 on paper is 0.7 here.

Not here: the estimates (`engines/opportunities.py`), asking the person (`workflows/upgrade.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from domain.decisions import Decision, DecisionLimits, DecisionScores
from domain.opportunities import Remedy, UpgradeOpportunity

WEIGHTS: Final[Mapping[str, float]] = {
    "value": 0.35,
    "risk": 0.25,
    "complexity": 0.20,
    "alignment": 0.15,
    "resources": 0.05,
}
COSTS: Final = frozenset({"risk", "complexity"})
"""Factors of which less is better."""

_ADVICE: Final[Mapping[str, str]] = {
    "value": "More evidence that the change is needed (more calls, more callers) would raise its value.",
    "risk": "A release that asks for fewer permissions, or a smaller version step, would lower its risk.",
    "complexity": "A smaller package with fewer dependencies would lower its complexity.",
    "alignment": "A match with `agent.strategic_keywords`, or a request by a person, would raise its alignment.",
    "resources": "Free memory on the agent's host, or fewer upgrades at a time, would raise its resources.",
}


def evaluate(opportunity: UpgradeOpportunity, free_resources: float, limits: DecisionLimits | None = None) -> Decision:
    """Answer one opportunity.

    Args:
        opportunity: the idea with its estimates.
        free_resources: how much of what it needs is free, in [0, 1]; values outside are brought to the nearer end.
        limits: thresholds; those of the spec when not given.

    Returns:
        The decision, with a sentence for every factor.
    """
    limits = limits or DecisionLimits()
    scores = DecisionScores(
        value=opportunity.estimated_value,
        risk=opportunity.estimated_risk,
        complexity=opportunity.estimated_complexity,
        alignment=opportunity.strategic_alignment,
        resources=min(1.0, max(0.0, free_resources)),
    )
    total = composite(scores)
    approved = total >= limits.approve_at and opportunity.remedy is not None
    return Decision(
        opportunity_id=opportunity.id,
        approved=approved,
        confidence=total if approved else 1 - total,
        composite=total,
        scores=scores,
        reasoning=_reasoning(opportunity, scores, total, limits),
        needs_approval=approved and bool(_reasons_to_ask(opportunity, scores, total, limits)),
        conditions=_conditions(opportunity.remedy) if approved and opportunity.remedy else (),
        recommendation="" if approved else _recommendation(opportunity, scores),
    )


def composite(scores: DecisionScores) -> float:
    """Return the weighted sum of 9.2, in [0, 1]."""
    return round(sum(WEIGHTS[factor] * gain for factor, gain in _gains(scores).items()), 12)


def _gains(scores: DecisionScores) -> dict[str, float]:
    """Return each factor turned so that 1 is best."""
    values: dict[str, float] = scores.model_dump()
    return {factor: 1 - value if factor in COSTS else value for factor, value in values.items()}


def _reasons_to_ask(
    opportunity: UpgradeOpportunity, scores: DecisionScores, total: float, limits: DecisionLimits
) -> tuple[str, ...]:
    reasons = []
    if total < limits.auto_approve_threshold:
        reasons.append(f"{total:.3f} is below {limits.auto_approve_threshold:g}, from which nobody is asked")
    if scores.risk > limits.require_human_approval_above_risk:
        reasons.append(f"risk {scores.risk:.2f} is above {limits.require_human_approval_above_risk:g}")
    if opportunity.remedy is not None and opportunity.remedy.doubts:
        reasons.append(f"callers may not be kept: {opportunity.remedy.doubts[0].rstrip('.')}")
    if opportunity.remedy is not None and not opportunity.remedy.side_by_side:
        reasons.append(
            f"{opportunity.remedy.package.id} cannot run beside what it replaces, so nothing can try it first"
        )
    return tuple(reasons)


def _reasoning(
    opportunity: UpgradeOpportunity, scores: DecisionScores, total: float, limits: DecisionLimits
) -> tuple[str, ...]:
    values: dict[str, float] = scores.model_dump()
    gains = _gains(scores)
    sentences = [
        f"{factor.capitalize()} {values[factor]:.2f} brings {weight * gains[factor]:.3f} of {weight:g}."
        for factor, weight in WEIGHTS.items()
    ]
    relation = "reaches" if total >= limits.approve_at else "stays below"
    sentences.append(f"Together {total:.3f}, which {relation} {limits.approve_at:g}.")
    if opportunity.remedy is None:
        sentences.append("No package of the registry would do it, so there is nothing to install.")
    elif total >= limits.approve_at:
        ask = _reasons_to_ask(opportunity, scores, total, limits)
        sentences.append(f"A person is asked: {'; '.join(ask)}." if ask else "Nobody needs to be asked.")
    return tuple(sentences)


def _conditions(remedy: Remedy) -> tuple[str, ...]:
    conditions = [
        f"{remedy.package.id} passes all five security checks.",
        "Every gate of the rollout is proved good.",
    ]
    if remedy.replaces is not None and remedy.side_by_side:
        conditions.append(f"{remedy.replaces.id} stays ready to take its callers back.")
    return tuple(conditions)


def _recommendation(opportunity: UpgradeOpportunity, scores: DecisionScores) -> str:
    if opportunity.remedy is None:
        return "A person can publish a package that does it to the registry; the next cycle finds it."
    lost = {factor: WEIGHTS[factor] * (1 - gain) for factor, gain in _gains(scores).items()}
    return _ADVICE[max(WEIGHTS, key=lambda factor: lost[factor])]
