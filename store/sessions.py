"""Spec 9.1, consistency - decides when a transaction begins and ends, and who waits for whom.

Rules:
- A block that reads sees one state; a block that writes is done whole or not at all.
- A writing block inside another joins it: both are done together or neither is.
- Blocks that are exclusive under the same name run one after the other, in all processes.
- Nothing may be awaited inside a block.

Not here: what is read or written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel

from store.connections import WRITING, telling
from store.tables import table_of


class Sessions:
    """Where repositories get their transactions from.

    Args:
        engine: the database, its tables in place.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer = engine.execution_options(**{WRITING: True})
        self._current: ContextVar[Session | None] = ContextVar("current", default=None)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a block that reads; inside a writing block it sees what that has written so far."""
        current = self._current.get()
        if current is not None:
            yield current
            return
        with telling(self.engine), Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a block that writes, or join the one that is open."""
        current = self._current.get()
        if current is not None:
            yield current
            return
        with telling(self.engine), Session(self._writer) as session, session.begin():
            token = self._current.set(session)
            try:
                yield session
            finally:
                self._current.reset(token)

    @contextmanager
    def exclusive(self, name: str) -> Iterator[Session]:
        """Open a writing block that no other of this name runs beside, in whatever process.

        SQLite has one writer anyway; on PostgreSQL the name is an advisory lock held until the transaction ends.
        """
        with self.writing() as session:
            if self.engine.dialect.name == "postgresql":
                session.connection().execute(select(func.pg_advisory_xact_lock(lock_number(name))))
            yield session

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def lock_number(name: str) -> int:
    """Return the signed 64-bit number that stands for a name among PostgreSQL's advisory locks."""
    digest = hashlib.sha256(f"self-upgrading-loop/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def upsert(
    session: Session,
    row: type[SQLModel],
    values: Sequence[dict[str, Any]],
    key: Sequence[str],
    update: Sequence[str] = (),
) -> None:
    """Insert rows; where the key exists already, overwrite the named columns, or leave the row alone if none is named.

    Args:
        session: a writing one.
        row: class of the rows.
        values: columns by name; all rows have the same.
        key: columns of the unique constraint that tells whether a row exists.
        update: columns to overwrite.
    """
    if not values:
        return
    insert = insert_into(session, row)
    statement = (
        insert.on_conflict_do_update(index_elements=[*key], set_={name: insert.excluded[name] for name in update})
        if update
        else insert.on_conflict_do_nothing(index_elements=[*key])
    )
    session.connection().execute(statement, [*values])


def insert_into(session: Session, row: type[SQLModel]) -> postgresql.Insert | sqlite.Insert:
    """Return an insert of the session's engine, which knows `ON CONFLICT`."""
    postgres = session.get_bind().dialect.name == "postgresql"
    return postgresql.insert(table_of(row)) if postgres else sqlite.insert(table_of(row))
