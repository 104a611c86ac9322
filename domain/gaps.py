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
