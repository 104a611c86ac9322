"""Spec 2.2, gap classification matrix - decides what a capability gap is.

Rules:
- Seven categories.
- The factors of 2.3 are each in [0, 1]; so is the score.

Not here: finding, classifying and scoring gaps (`engines/gaps.py`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.base import Model, Moment, Share


class GapCategory(StrEnum):
    """The seven categories of 2.2."""

    TOOL = "tool"
    KNOWLEDGE = "knowledge"
    SKILL = "skill"
    INTEGRATION = "integration"
    PERFORMANCE = "performance"
    QUALITY = "quality"
    SAFETY = "safety"


class Bucket(StrEnum):
    """The four priorities of 2.3."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class GapSource(StrEnum):
    """Where a gap was noticed (2.1)."""

    USER_REQUEST = "user_request"
    TASK_FAILURE = "task_failure"
    MARKET = "market"
    SELF_IDENTIFIED = "self_identified"


class GapLimits(Model):
    """From when on a lack counts.

    Attributes:
        min_occurrences: requests or failures below which it may have been a passing trouble.
        min_failure_rate: failure rate of a method, by the lower end of its 95 % interval, below which it is none.
        min_match: how well a package must fit the words of a request to be taken for what was asked for.
    """

    min_occurrences: int = Field(default=3, ge=1)
    min_failure_rate: Share = 0.05
    min_match: Share = 0.3


class GapFactors(Model):
    """The inputs of 2.3, each in [0, 1]."""

    user_request_frequency: Share
    user_satisfaction_impact: Share
    revenue_impact: Share
    efficiency_gain: Share
    roadmap_alignment: Share
    competitive_importance: Share
    implementation_complexity: Share


class CapabilityGap(Model):
    """Something the agent cannot do, or does badly."""

    id: str
    category: GapCategory
    source: GapSource
    title: str
    reason: str
    wanted_capability: str | None = None
    wanted_method: str | None = None
    keywords: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    frequency: int = Field(ge=1)
    callers: int = Field(default=0, ge=0)
    factors: GapFactors
    score: Share
    bucket: Bucket
    last_seen: Moment | None = None
