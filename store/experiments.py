"""Spec 4.1, experiment registry - decides what is kept of an experiment.

Rules:
- An experiment is listed by its status and by the capability whose versions it compares.

Not here: what an experiment is (`domain/experiments.py`).
"""

from __future__ import annotations

from domain.experiments import Experiment
from store.records import Records
from store.sessions import Sessions
from store.tables import ExperimentRow


class Experiments(Records[Experiment]):
    """Every experiment."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__(sessions, ExperimentRow, Experiment)

    def status_of(self, record: Experiment) -> str:
        """Return where the experiment stands."""
        return record.status

    def capability_of(self, record: Experiment) -> str:
        """Return the capability whose versions it compares."""
        return record.capability
