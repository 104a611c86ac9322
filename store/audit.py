"""Spec 9.1, audit logger - decides how the audit chain is written and verified.

Rules:
- Writers queue, in all processes, so numbers have no holes and each entry holds the one before it.
- Appending a key that is known returns the entry that stands.
- Entries are kept to the letter as they were hashed; the database refuses to change or delete one (a first wall only).
- The head is kept beside the chain, so that entries cut off at the end are missed too.

Not here: what an entry is and how it is hashed (`domain/audit.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import func
from sqlmodel import Session, col, select

from domain.audit import GENESIS, AuditEntry, AuditVerification
from domain.base import JsonObject
from domain.errors import StoreUnusable
from store.columns import clean
from store.sessions import Sessions
from store.tables import AuditHeadRow, AuditRow

BATCH = 1_000
"""Entries read at once while verifying."""


class Audit:
    """The audit log."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def append(  # noqa: PLR0913, PLR0917 - the six fields of an entry that its caller knows
        self, key: str, at: datetime, actor: str, action: str, subject: str, detail: JsonObject
    ) -> AuditEntry:
        """Add an entry to the chain.

        Returns:
            The entry of that key: the new one, or the one that stands already.
        """
        with self._sessions.exclusive("audit") as session:
            known = session.exec(select(AuditRow).where(AuditRow.key == clean(key))).first()
            if known is not None:
                return _entry(known)
            head = _head(session)
            entry = AuditEntry(
                sequence=head.sequence + 1,
                key=clean(key),
                at=at,
                actor=clean(actor),
                action=clean(action),
                subject=clean(subject),
                detail=detail,
                previous_hash=head.hash,
            ).sealed()
            session.add(_row(entry))
            session.flush()
            head.sequence, head.hash = entry.sequence, entry.hash
            session.add(head)
            session.flush()
            return entry

    def entries(self, subject: str | None = None, after: int = 0, limit: int = 200) -> list[AuditEntry]:
        """Return entries in order.

        Args:
            subject: only those about this id.
            after: only those with a higher number; the last number seen asks for the next page.
            limit: how many at most.
        """
        query = select(AuditRow).where(AuditRow.sequence > after).order_by(col(AuditRow.sequence)).limit(limit)
        if subject is not None:
            query = query.where(AuditRow.subject == subject)
        with self._sessions.reading() as session:
            return [_entry(row) for row in session.exec(query)]

    def verify(self) -> AuditVerification:
        """Walk along the whole chain and say where it is broken first, if it is.

        It finds entries that were changed, removed, put in or moved, and an end that was cut off. It cannot find
        that somebody with full access made the chain anew from some entry on, head included.

        Cost: one pass; memory for 1,000 entries.
        """
        with self._sessions.reading() as session:
            head = session.get(AuditHeadRow, 1)
            total = session.exec(select(func.count()).select_from(AuditRow)).one()
        if head is None:
            return _broken(total, total + 1, "the record of the newest entry is gone")
        expected, previous = 1, GENESIS
        for row in self._walk():
            problem = _problem(row, expected, previous)
            if not problem and expected == head.sequence and row.hash != head.hash:
                problem = "is not the entry that was written last"
            if problem:
                return _broken(total, expected, f"entry {expected} {problem}")
            expected, previous = expected + 1, row.hash
        if expected <= head.sequence:
            return _broken(total, expected, f"entries {expected} to {head.sequence} at the end are missing")
        return AuditVerification(entries=total, ok=True)

    def _walk(self) -> Iterator[AuditRow]:
        after: int | None = None
        while True:
            query = select(AuditRow).order_by(col(AuditRow.sequence)).limit(BATCH)
            with self._sessions.reading() as session:
                rows = session.exec(query if after is None else query.where(AuditRow.sequence > after)).all()
            yield from rows
            if len(rows) < BATCH:
                return
            after = rows[-1].sequence


def _problem(row: AuditRow, expected: int, previous: str) -> str:
    """Return what is wrong with the row that stands where entry `expected` should, or nothing."""
    if row.sequence != expected:
        return f"is missing; {row.sequence} stands in its place"
    try:
        entry = _parsed(row)
        computed = entry.computed_hash()
    except (ValueError, TypeError, RecursionError):
        return "was changed: it cannot be read"
    if computed != row.hash:
        return "was changed: it does not match its own hash"
    return "" if row.previous_hash == previous else "does not follow the entry before it"


def _broken(entries: int, first_bad: int, reason: str) -> AuditVerification:
    return AuditVerification(entries=entries, ok=False, first_bad=first_bad, reason=reason)


def _head(session: Session) -> AuditHeadRow:
    head = session.exec(select(AuditHeadRow).where(AuditHeadRow.id == 1).with_for_update()).first()
    if head is None:
        raise StoreUnusable(
            "The audit log has lost the record of its newest entry, and nothing can be added to it.",
            hint="`audit verify` tells what is left; restore a snapshot.",
        )
    return head


def _row(entry: AuditEntry) -> AuditRow:
    content = entry.model_dump(mode="json")
    return AuditRow(**{**content, "detail": json.dumps(content["detail"], sort_keys=True)})


def _parsed(row: AuditRow) -> AuditEntry:
    return AuditEntry.model_validate({**row.model_dump(), "detail": json.loads(row.detail)})


def _entry(row: AuditRow) -> AuditEntry:
    try:
        return _parsed(row)
    except (ValidationError, ValueError) as error:
        raise StoreUnusable(
            f"Audit entry {row.sequence} cannot be read: it was changed.",
            hint="`audit verify` tells where the chain is broken.",
        ) from error
