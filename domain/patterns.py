"""Spec 1.2, pattern categories - decides what a discovered pattern is.

Rules:
- Six types, each with the priority of the spec's table.
- A pattern names the places and components it was seen in, so that a person can check it.

Not here: finding patterns (`engines/patterns.py`) and scoring them (1.3, same room).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.base import JsonObject, Model, Share


class PatternType(StrEnum):
    """The six categories of 1.2."""

    REPETITION = "repetition"
    BOTTLENECK = "bottleneck"
    ABSTRACTION_GAP = "abstraction_gap"
    CAPABILITY_OVERLAP = "capability_overlap"
    EXTENSION_POINT = "extension_point"
    ANTI_PATTERN = "anti_pattern"


class Priority(StrEnum):
    """How urgent a category is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"


PRIORITY_OF = {
    PatternType.REPETITION: Priority.HIGH,
    PatternType.BOTTLENECK: Priority.CRITICAL,
    PatternType.ABSTRACTION_GAP: Priority.HIGH,
    PatternType.CAPABILITY_OVERLAP: Priority.MEDIUM,
    PatternType.EXTENSION_POINT: Priority.HIGH,
    PatternType.ANTI_PATTERN: Priority.CRITICAL,
}


class Location(Model):
    """A place in source code; lines count from 1 and both ends belong to it."""

    file: str
    start_line: int = Field(ge=1)
    end_line: int = Field(ge=1)
    symbol: str = ""


class PatternScores(Model):
    """The four inputs of 1.3, each in [0, 1]."""

    frequency: Share
    impact: Share
    complexity: Share
    risk: Share


class SourceFile(Model):
    """A file to be scanned."""

    path: str
    text: str


class SkippedFile(Model):
    """A file that could not be scanned, and why."""

    file: str
    reason: str


class ArchitecturalPattern(Model):
    """Something seen in code, behaviour or usage that could be better."""

    id: str
    type: PatternType
    rule: str
    title: str
    priority: Priority
    frequency: int = Field(ge=1)
    locations: tuple[Location, ...] = ()
    affected_components: tuple[str, ...] = ()
    scores: PatternScores
    opportunity_score: Share
    evidence: JsonObject = Field(default_factory=dict)


class ScanResult(Model):
    """What a scan of source files found and covered.

    Attributes:
        files, lines: how much was read and parsed.
        skipped: files that were not, so that nothing found in them means nothing.
    """

    patterns: tuple[ArchitecturalPattern, ...]
    files: int = Field(ge=0)
    lines: int = Field(ge=0)
    skipped: tuple[SkippedFile, ...] = ()
