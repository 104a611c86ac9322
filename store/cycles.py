"""Spec 9.1, cycles - decides what is kept of a cycle and of what it discovered.

Rules:
- A cycle's discoveries are kept whole beside it; a repeated discovery replaces them.

Not here: what a cycle is (`domain/cycles.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import select

from domain.base import JsonObject
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

    def put_patterns(self, cycle_id: str, patterns: Sequence[ArchitecturalPattern]) -> None:
        """Keep the patterns a cycle found, in place of those it had found before."""
        self._put(cycle_id, "patterns", [pattern.model_dump(mode="json") for pattern in patterns])

    def put_gaps(self, cycle_id: str, gaps: Sequence[CapabilityGap]) -> None:
        """Keep the gaps a cycle found, in place of those it had found before."""
        self._put(cycle_id, "gaps", [gap.model_dump(mode="json") for gap in gaps])

    def _put(self, cycle_id: str, kind: str, found: list[JsonObject]) -> None:
        row = {"cycle_id": cycle_id, "patterns": [], "gaps": [], kind: found}
        with self._sessions.writing() as session:
            upsert(session, DiscoveryRow, [row], key=("cycle_id",), update=(kind,))

    def of(self, cycle_id: str) -> tuple[list[ArchitecturalPattern], list[CapabilityGap]]:
        """Return what a cycle found; nothing for a cycle that has not discovered yet."""
        with self._sessions.reading() as session:
            row = session.exec(select(DiscoveryRow).where(DiscoveryRow.cycle_id == cycle_id)).first()
        if row is None:
            return [], []
        patterns = [read(ArchitecturalPattern, cycle_id, body) for body in row.patterns]
        return patterns, [read(CapabilityGap, cycle_id, body) for body in row.gaps]
