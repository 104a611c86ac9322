"""Spec 5.2, sizing - decides what is told, before a rollout begins, about a gate that it may never prove.

Not here: the arithmetic (`engines/sizing.py`).
"""

from __future__ import annotations

from datetime import timedelta

from domain.base import Model
from domain.rollouts import GateCondition, Metric


class GateSize(Model):
    """What one gate of one stage needs, and what it will get.

    Attributes:
        needed: calls of the candidate that prove it, none of them bad.
        expected: calls of the candidate within the stage's longest duration.
        share: of all calls that would be enough in that time; None when all of them are too few.
        duration: that would be enough with the stage's own share; None when the candidate gets no calls.
    """

    stage: str
    metric: Metric
    condition: GateCondition
    threshold: float
    needed: int
    expected: float
    share: float | None
    duration: timedelta | None

    @property
    def provable(self) -> bool:
        """Whether the gate can be proved good in time."""
        return self.expected >= self.needed
