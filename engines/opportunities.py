"""Spec 9.1, analysis phase - decides which ideas for an upgrade follow from what was found, and their order.

Rules:
- A bottleneck or a failing method of a running capability leads to a newer version of its plugin, a gap to the package
  that provides what is wanted. What nothing on the market remedies is work for a person, and says so.
- A pattern in the agent's own code is work for a person: the loop upgrades plugins, it rewrites nobody's code.
- Findings with the same remedy are one idea that cites them all; it is worth what the best of them is.
- An idea keeps its id from cycle to cycle, and with it what was decided about it.
- They are ranked by the composite of 9.2 with all resources free; equals by id.

Not here: the choice of a package (`engines/remedies.py`), the estimates (`engines/estimates.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from domain.contracts import PluginPackage
from domain.decisions import DecisionScores
from domain.gaps import CapabilityGap
from domain.opportunities import (
    Landscape,
    OpportunitySource,
    OpportunityStatus,
    Remedy,
    UpgradeOpportunity,
)
from domain.patterns import ArchitecturalPattern, PatternType
from engines.decisions import composite
from engines.estimates import NEUTRAL, alignment_of, complexity_of, risk_of, value_of_gap, value_of_pattern
from engines.remedies import new_capability, newer_version, package_of, running_contract


class _Finding(NamedTuple):
    """A pattern or a gap, in the words that both have."""

    id: str
    source: OpportunitySource
    title: str
    value: float
    components: tuple[str, ...]
    effort: tuple[float, float]
    gap: CapabilityGap | None
    remedy: Remedy | None


def build(
    patterns: Sequence[ArchitecturalPattern],
    gaps: Sequence[CapabilityGap],
    landscape: Landscape,
    known: Mapping[str, UpgradeOpportunity] | None = None,
) -> list[UpgradeOpportunity]:
    """Turn findings into ideas.

    Args:
        patterns: what was seen in code and usage.
        gaps: what the agent lacks.
        landscape: what is installed, routed and on offer.
        known: ideas of earlier cycles by id; their status, reason and time of finding are kept.

    Returns:
        Ideas, the best first.
    """
    findings = [_from_pattern(pattern, landscape) for pattern in patterns]
    findings += [_from_gap(gap, landscape) for gap in gaps]
    groups: dict[str, list[_Finding]] = {}
    for finding in findings:
        groups.setdefault(opportunity_id(finding.remedy, finding.id), []).append(finding)
    ideas = [_idea(id_, group, landscape) for id_, group in groups.items()]
    return sorted((_remembered(idea, known or {}) for idea in ideas), key=lambda idea: (-idea.score, idea.id))


def opportunity_id(remedy: Remedy | None, finding_id: str) -> str:
    """Return the id of an idea: made from what it would change, or from the finding when it would change nothing."""
    text = f"{remedy.capability}\n{remedy.package.digest}" if remedy else finding_id
    return f"opportunity-{sha256(text.encode()).hexdigest()[:16]}"


def _from_pattern(pattern: ArchitecturalPattern, landscape: Landscape) -> _Finding:
    remedy = None
    if pattern.type is PatternType.BOTTLENECK and pattern.affected_components:
        remedy = newer_version(landscape, pattern.affected_components[0])
    return _Finding(
        id=pattern.id,
        source=OpportunitySource.PATTERN,
        title=pattern.title,
        value=value_of_pattern(pattern),
        components=pattern.affected_components,
        effort=(pattern.scores.complexity, pattern.scores.risk),
        gap=None,
        remedy=remedy,
    )


def _from_gap(gap: CapabilityGap, landscape: Landscape) -> _Finding:
    wanted = gap.wanted_capability
    better = newer_version(landscape, wanted, gap.wanted_method) if wanted else None
    return _Finding(
        id=gap.id,
        source=OpportunitySource.GAP,
        title=gap.title,
        value=value_of_gap(gap),
        components=(wanted,) if wanted else (),
        effort=(gap.factors.implementation_complexity, NEUTRAL),
        gap=gap,
        remedy=better or new_capability(landscape, gap),
    )


def _idea(id_: str, findings: Sequence[_Finding], landscape: Landscape) -> UpgradeOpportunity:
    ordered = sorted(findings, key=lambda finding: (-finding.value, finding.id))
    best, remedy = ordered[0], ordered[0].remedy
    package = package_of(landscape, remedy.package) if remedy else None
    complexity, risk = _effort(best, package, landscape)
    text = " ".join([*(finding.title for finding in ordered), remedy.summary if remedy else ""])
    gaps = [finding.gap for finding in ordered if finding.gap is not None]
    idea = UpgradeOpportunity(
        id=id_,
        source=best.source,
        description=_description(best, remedy),
        estimated_value=best.value,
        estimated_complexity=complexity,
        estimated_risk=risk,
        strategic_alignment=alignment_of(text, gaps, landscape.strategic_keywords),
        affected_components=tuple(sorted({name for finding in ordered for name in finding.components})),
        remedy=remedy,
        evidence=tuple(f"{finding.id}: {finding.title}" for finding in ordered),
        status=OpportunityStatus.OPEN if remedy else OpportunityStatus.NEEDS_PERSON,
    )
    resources = {"required_resources": package.contract.resource_requirements} if package else {}
    return idea.model_copy(update={"score": _score(idea), **resources})


def _effort(finding: _Finding, package: PluginPackage | None, landscape: Landscape) -> tuple[float, float]:
    """Return complexity and risk: of the package that would be installed, or of the work a person would do."""
    if package is None or finding.remedy is None:
        return finding.effort
    return complexity_of(package), risk_of(package, running_contract(landscape, finding.remedy.replaces))


def _description(best: _Finding, remedy: Remedy | None) -> str:
    if remedy is None:
        return f"{best.title}. No package of the registry remedies it; a person has to."
    if remedy.replaces is None:
        return f"{best.title}. {remedy.package.id} provides {remedy.capability}: {remedy.summary}"
    return f"{best.title}. {remedy.package.id} would replace {remedy.replaces.id}: {remedy.summary}"


def _score(idea: UpgradeOpportunity) -> float:
    return composite(
        DecisionScores(
            value=idea.estimated_value,
            risk=idea.estimated_risk,
            complexity=idea.estimated_complexity,
            alignment=idea.strategic_alignment,
            resources=1.0,
        )
    )


def _remembered(idea: UpgradeOpportunity, known: Mapping[str, UpgradeOpportunity]) -> UpgradeOpportunity:
    before = known.get(idea.id)
    if before is None:
        return idea
    return idea.model_copy(update={"status": before.status, "reason": before.reason, "found_at": before.found_at})
