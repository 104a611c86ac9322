"""Spec 5.1, rollout registry - decides what is kept of a rollout and of every look at its gates.

Rules:
- Every look is kept, those that changed nothing too: they are the evidence for the ones that did.
- One look at one stage at one moment is kept once.

Not here: what a rollout is (`domain/rollouts.py`), judging gates (`engines/rollouts.py`).
"""

from __future__ import annotations

from datetime import datetime

from domain.rollouts import GateLogEntry, Rollout, RolloutDecision
from store.journal import Journal, Line
from store.records import Records
from store.sessions import Sessions
from store.tables import GateLogRow, RolloutRow


class Rollouts(Records[Rollout]):
    """Every rollout."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__(sessions, RolloutRow, Rollout)

    def status_of(self, record: Rollout) -> str:
        """Return where the rollout stands."""
        return record.status

    def capability_of(self, record: Rollout) -> str:
        """Return the capability it rolls out."""
        return record.capability


class GateLog:
    """Every look at the gates."""

    def __init__(self, sessions: Sessions) -> None:
        self._journal = Journal(sessions, GateLogRow, GateLogEntry)

    def append(self, rollout_id: str, stage: str, decision: RolloutDecision, at: datetime) -> None:
        """Keep one look; the same stage and moment again changes nothing."""
        entry = GateLogEntry(rollout_id=rollout_id, stage=stage, at=at, decision=decision)
        line_id = f"{rollout_id}/{stage}/{entry.at.isoformat()}"
        self._journal.append([Line(line_id, rollout_id, entry.at, entry)])

    def of(self, rollout_id: str) -> list[GateLogEntry]:
        """Return the looks at one rollout, in order."""
        return self._journal.of(rollout_id)
