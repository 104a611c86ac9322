"""Spec 9.1, cycles and phases - decides what one run of the loop is.

Rules:
- Five phases in order; each is pending, running, complete, skipped or failed.
- A cycle ends in success or failed, and its record says which phase failed and why.

Not here: running the phases (`workflows/upgrade_cycle.py`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.base import Model, Moment


class Phase(StrEnum):
    """The five phases of 9.1."""

    DISCOVERY = "discovery"
    ANALYSIS = "analysis"
    DECISION = "decision"
    IMPLEMENTATION = "implementation"
    VALIDATION = "validation"


class PhaseStatus(StrEnum):
    """Where a phase stands."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETE = "complete"
    SKIPPED = "skipped"
    FAILED = "failed"


class CycleStatus(StrEnum):
    """Where a cycle stands."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"


class Trigger(StrEnum):
    """What started a cycle (10.2)."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    CAPABILITY_REQUESTED = "capability_requested"
    PATTERN_DETECTED = "pattern_detected"


class PhaseRecord(Model):
    """One phase of one cycle."""

    name: Phase
    status: PhaseStatus = PhaseStatus.PENDING
    started_at: Moment | None = None
    ended_at: Moment | None = None
    summary: str = ""

    @property
    def seconds(self) -> float | None:
        """How long the phase took, None until it has ended."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


class CycleRecord(Model):
    """What is remembered of one cycle."""

    id: str
    trigger: Trigger
    status: CycleStatus
    phases: tuple[PhaseRecord, ...] = Field(default=tuple(PhaseRecord(name=phase) for phase in Phase))
    patterns: int = 0
    gaps: int = 0
    opportunities: int = 0
    upgrade_ids: tuple[str, ...] = ()
    started_at: Moment
    ended_at: Moment | None = None
    error: str = ""
