"""Appendix A, records - decides how a document that changes is put, found and listed.

Rules:
- Putting a record with a known id replaces it; its place in the order of listing stays that of its first put.
- Listings are newest first.
- A record that this version cannot read is told by id, never skipped.

Not here: which record a concept keeps, one file per concept beside this one.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, Generic, Protocol, Self, TypeVar

import sqlalchemy
from pydantic import ValidationError
from sqlmodel import Session, col, delete, select

from domain.errors import NotFound, StoreUnusable
from store.sessions import Sessions, upsert
from store.tables import RecordRow


class Document(Protocol):
    """What can be kept as one JSON document: every model of the domain."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """Return the document as JSON values."""
        ...

    @classmethod
    def model_validate(cls, obj: Any) -> Self:
        """Make the model from a document."""
        ...


class Record(Document, Protocol):
    """A document with an id."""

    @property
    def id(self) -> str:
        """What the record is found by."""
        ...


D = TypeVar("D", bound=Document)
R = TypeVar("R", bound=Record)


class Records(Generic[R]):
    """All records of one kind.

    Args:
        sessions: where transactions come from.
        row: the table.
        model: the kind.
    """

    def __init__(self, sessions: Sessions, row: type[RecordRow], model: type[R]) -> None:
        self._sessions = sessions
        self._row = row
        self._model = model

    def status_of(self, record: R) -> str | None:
        """Return the status a record is listed by; none for a kind that has none."""
        del record
        return None

    def capability_of(self, record: R) -> str | None:
        """Return the capability a record is listed by; none for a kind that has none."""
        del record
        return None

    def put(self, record: R) -> None:
        """Keep a record, in place of the one with its id if there is one."""
        with self._sessions.writing() as session:
            self._put(session, record)

    def find(self, record_id: str) -> R | None:
        """Return the record of that id, or None."""
        with self._sessions.reading() as session:
            return self._find(session, record_id)

    def get(self, record_id: str) -> R:
        """Return the record of that id.

        Raises:
            NotFound: there is none.
        """
        found = self.find(record_id)
        if found is None:
            raise self._not_found(record_id)
        return found

    def list(
        self, status: str | None = None, capability: str | None = None, limit: int | None = 200
    ) -> builtins.list[R]:
        """Return records, newest first; only those of a status or capability where one is named.

        Args:
            status: as `status_of` tells it.
            capability: as `capability_of` tells it.
            limit: how many at most; None for all.
        """
        query = select(self._row).order_by(col(self._row.position).desc()).limit(limit)
        if status is not None:
            query = query.where(self._row.status == status)
        if capability is not None:
            query = query.where(self._row.capability == capability)
        with self._sessions.reading() as session:
            return [read(self._model, row.id, row.body) for row in session.exec(query)]

    def extract(self, *paths: str) -> builtins.list[tuple[Any, ...]]:
        """Return some fields of every record, newest first, as JSON values.

        Args:
            paths: dotted names, such as `rollback.seconds`; a field that a record lacks is None.

        Cost: one pass in the database; no document is made. About 4 microseconds for each record and path on SQLite.
        """
        fields = [col(self._row.body)[tuple(path.split("."))] for path in paths]
        query = sqlalchemy.select(*fields).order_by(col(self._row.position).desc())
        with self._sessions.reading() as session:
            return [tuple(row) for row in session.connection().execute(query)]

    def delete(self, record_id: str) -> bool:
        """Forget a record; return whether there was one."""
        with self._sessions.writing() as session:
            return session.exec(delete(self._row).where(col(self._row.id) == record_id)).rowcount > 0

    def _put(self, session: Session, record: R) -> None:
        row = {
            "id": record.id,
            "status": self.status_of(record),
            "capability": self.capability_of(record),
            "body": record.model_dump(mode="json"),
        }
        upsert(session, self._row, [row], key=("id",), update=("status", "capability", "body"))

    def _find(self, session: Session, record_id: str, *, lock: bool = False) -> R | None:
        query = select(self._row.body).where(self._row.id == record_id)
        body = session.exec(query.with_for_update() if lock else query).first()
        return None if body is None else read(self._model, record_id, body)

    def _not_found(self, record_id: str) -> NotFound:
        kind = str(self._row.__tablename__)
        return NotFound(f"There is no {record_id!r} among the {kind}.", hint=f"List the {kind} to see their ids.")


def read(model: type[D], record_id: str, body: Mapping[str, Any]) -> D:
    """Return the model that a stored document is.

    Raises:
        StoreUnusable: this version cannot read it.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreUnusable(
            f"The stored {model.__name__} {record_id!r} cannot be read: {where}: {first['msg']}.",
            hint="It was written by another version; start that version, or restore a snapshot of this one.",
        ) from error
