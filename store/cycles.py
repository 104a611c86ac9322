"""Spec 9.1, cycles - decides what is kept of a cycle and of what it discovered.

Rules:
- A cycle's discoveries are kept whole beside it; a repeated discovery replaces them.

Not here: what a cycle is (`domain/cycles.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import select

from domain.cycles import CycleRecord
from domain.gaps import CapabilityGap
from domain.patterns import ArchitecturalPattern
from store.records import Records, read
from store.sessions import Sessions, upsert
from store.tables import CycleRow, DiscoveryRow


class Cycles(Records[CycleRecord]):
    """Every cycle that runs or ran."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__(sessions, CycleRow, CycleRecord)

    def status_of(self, record: CycleRecord) -> str:
        """Return where the cycle stands."""
        return record.status


class Discoveries:
    """The patterns and gaps that each cycle found."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def put(self, cycle_id: str, patterns: Sequence[ArchitecturalPattern], gaps: Sequence[CapabilityGap]) -> None:
        """Keep what a cycle found, in place of what it had found before."""
        row = {
            "cycle_id": cycle_id,
            "patterns": [pattern.model_dump(mode="json") for pattern in patterns],
            "gaps": [gap.model_dump(mode="json") for gap in gaps],
        }
        with self._sessions.writing() as session:
            upsert(session, DiscoveryRow, [row], key=("cycle_id",), update=("patterns", "gaps"))

    def of(self, cycle_id: str) -> tuple[list[ArchitecturalPattern], list[CapabilityGap]]:
        """Return what a cycle found; nothing for a cycle that has not discovered yet."""
        with self._sessions.reading() as session:
            row = session.exec(select(DiscoveryRow).where(DiscoveryRow.cycle_id == cycle_id)).first()
        if row is None:
            return [], []
        patterns = [read(ArchitecturalPattern, cycle_id, body) for body in row.patterns]
        return patterns, [read(CapabilityGap, cycle_id, body) for body in row.gaps]
