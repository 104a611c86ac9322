"""Spec 9.1, journals - decides how a document that is said once is kept and read again.

Rules:
- Appending an id that is known changes nothing, so a repeated activity is harmless.
- What is said about one owner, or since one moment, comes back in the order in which it was said.

Not here: which journals there are, one file per concept beside this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic

from sqlmodel import col, select

from store.records import D, read
from store.sessions import Sessions, upsert
from store.tables import JournalRow


@dataclass(frozen=True)
class Line(Generic[D]):
    """One document on its way into a journal.

    Attributes:
        id: makes appending it twice the same as once.
        owner: what it is about.
        at: when it was said, if that is known.
    """

    id: str
    owner: str
    at: datetime | None
    document: D


class Journal(Generic[D]):
    """All documents of one kind, in the order in which they were said."""

    def __init__(self, sessions: Sessions, row: type[JournalRow], model: type[D]) -> None:
        self._sessions = sessions
        self._row = row
        self._model = model

    def append(self, lines: Iterable[Line[D]]) -> None:
        """Add what is not known yet."""
        self._write(lines, ())

    def replace(self, lines: Iterable[Line[D]]) -> None:
        """Add what is not known yet, and overwrite what is."""
        self._write(lines, ("owner", "at", "body"))

    def of(self, owner: str) -> list[D]:
        """Return all that was said about an owner, in order."""
        query = select(self._row).where(self._row.owner == owner).order_by(col(self._row.position))
        with self._sessions.reading() as session:
            return [read(self._model, row.id, row.body) for row in session.exec(query)]

    def since(self, moment: datetime) -> list[D]:
        """Return all that was said at a moment or after it, in order of time."""
        at = col(self._row.at)
        query = select(self._row).where(at >= moment).order_by(at, col(self._row.position))
        with self._sessions.reading() as session:
            return [read(self._model, row.id, row.body) for row in session.exec(query)]

    def newest(self, limit: int) -> list[D]:
        """Return what was said last, newest first."""
        query = select(self._row).order_by(col(self._row.position).desc()).limit(limit)
        with self._sessions.reading() as session:
            return [read(self._model, row.id, row.body) for row in session.exec(query)]

    def _write(self, lines: Iterable[Line[D]], update: Sequence[str]) -> None:
        rows = [
            {"id": line.id, "owner": line.owner, "at": line.at, "body": line.document.model_dump(mode="json")}
            for line in lines
        ]
        with self._sessions.writing() as session:
            upsert(session, self._row, rows, key=("id",), update=update)
