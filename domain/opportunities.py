"""Appendix A, UpgradeOpportunity - decides what an idea for an upgrade carries before anybody decides on it.

Rules:
- An opportunity comes from a pattern, a gap or a person's request, and cites its evidence.
- Its remedy is one exact package of the registry; without a remedy it is work for a person and is never upgraded.
- Its id is made from what it would change, so the same idea found twice is one opportunity.

Not here: building and ranking opportunities (`engines/opportunities.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from domain.base import Model, Moment, Share
from domain.contracts import Name, PluginPackage, ResourceRequirements
from domain.routing import PluginVersion, RoutingTable


class OpportunitySource(StrEnum):
    """Where the idea came from."""

    PATTERN = "pattern"
    GAP = "gap"
    REQUEST = "request"


class OpportunityStatus(StrEnum):
    """Where the idea stands."""

    OPEN = "open"
    SELECTED = "selected"
    UPGRADED = "upgraded"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    NEEDS_PERSON = "needs_person"


OPPORTUNITY_TRANSITIONS: Mapping[OpportunityStatus, frozenset[OpportunityStatus]] = {
    OpportunityStatus.OPEN: frozenset({OpportunityStatus.SELECTED, OpportunityStatus.REJECTED}),
    OpportunityStatus.SELECTED: frozenset(
        {
            OpportunityStatus.UPGRADED,
            OpportunityStatus.REJECTED,
            OpportunityStatus.ROLLED_BACK,
            OpportunityStatus.FAILED,
        }
    ),
    OpportunityStatus.UPGRADED: frozenset({OpportunityStatus.ROLLED_BACK}),
    OpportunityStatus.REJECTED: frozenset({OpportunityStatus.SELECTED}),
    OpportunityStatus.ROLLED_BACK: frozenset({OpportunityStatus.SELECTED}),
    OpportunityStatus.FAILED: frozenset({OpportunityStatus.SELECTED}),
    OpportunityStatus.NEEDS_PERSON: frozenset({OpportunityStatus.OPEN, OpportunityStatus.REJECTED}),
}
"""A rejected, failed or rolled-back idea is selected again only by a person's order."""


class Remedy(Model):
    """The package that would be installed, and what it would replace.

    Attributes:
        doubts: why callers of what it replaces may not be kept, where that is allowed or not known; a person is asked.
        side_by_side: whether it may run beside what it replaces; if not, it is put in its place untried, and a person
            is asked.
    """

    capability: Name
    package: PluginVersion
    replaces: PluginVersion | None = None
    summary: str = ""
    doubts: tuple[str, ...] = ()
    side_by_side: bool = True

    @property
    def is_new(self) -> bool:
        """Whether the capability does not exist yet."""
        return self.replaces is None


class Landscape(Model):
    """What opportunities are looked for in.

    Attributes:
        market: packages that could be installed.
        installed: packages that run now.
        routes: which of them serves which capability.
        strategic_keywords: what the agent's owner wants more of.
    """

    market: tuple[PluginPackage, ...] = ()
    installed: tuple[PluginPackage, ...] = ()
    routes: RoutingTable = RoutingTable()
    strategic_keywords: tuple[str, ...] = ()


class UpgradeOpportunity(Model):
    """An idea for an upgrade, with its estimates in [0, 1] and the evidence for them."""

    id: str
    source: OpportunitySource
    description: str
    estimated_value: Share
    estimated_complexity: Share
    estimated_risk: Share
    strategic_alignment: Share = 0.5
    affected_components: tuple[str, ...] = ()
    required_resources: ResourceRequirements = ResourceRequirements()
    remedy: Remedy | None = None
    evidence: tuple[str, ...] = ()
    score: Share = 0.0
    status: OpportunityStatus = OpportunityStatus.OPEN
    found_at: Moment | None = None
    reason: str = Field(default="", description="why it was rejected, failed or rolled back")
