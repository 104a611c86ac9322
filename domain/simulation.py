"""Spec 5.2, recorded rollouts - decides what a recorded trace of counts looks like, and what a simulation tells.

Rules:
- A line gives counts, or an event; its time is in seconds since the rollout began.
- Counts are those since the line before it of the same metric and variant.

Not here: the simulation (`engines/simulation.py`), files (`worker/commands/rollout.py`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from domain.base import Model
from domain.rollouts import GateVerdict, Metric, RolloutAction
from domain.routing import VariantName


class TraceEvent(StrEnum):
    """What happened beside calls."""

    PROVIDER_ERROR = "provider_error"
    STALE = "stale"
    APPROVE = "approve"
    ABORT = "abort"
    PAUSE = "pause"
    RESUME = "resume"


class TraceLine(Model):
    """One line of a trace: counts of one metric, or an event.

    Attributes:
        at: seconds since the rollout began.
        stage: the counts are for this stage only; for whichever runs when not given.
    """

    at: float = Field(ge=0)
    event: TraceEvent | None = None
    stage: str | None = None
    metric: Metric | None = None
    variant: VariantName = VariantName.CANDIDATE
    n: int = Field(default=0, ge=0)
    bad: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _counts_or_an_event(self) -> Self:
        if (self.event is None) == (self.metric is None):
            raise ValueError("a line has either `metric` with its counts, or `event`")
        if self.bad > self.n:
            raise ValueError(f"{self.bad} bad calls of {self.n}")
        return self


class SimulatedLook(Model):
    """One look at the gates; `at` in seconds, the verdict of all gates together."""

    at: float
    stage: str
    verdict: GateVerdict
    action: RolloutAction
    reason: str


class SimulationOutcome(StrEnum):
    """Where the rollout stands when the trace ends."""

    COMPLETE = "complete"
    ROLLED_BACK = "rolled_back"
    PAUSED = "paused"
    RUNNING = "running"


class Simulation(Model):
    """What a rollout would have decided."""

    decisions: tuple[SimulatedLook, ...]
    outcome: SimulationOutcome
