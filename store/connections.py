"""Spec 10.1, deployment - decides how the database is reached and what its failures mean to a person.

Rules:
- SQLite by default: one file, write-ahead log, foreign keys on, ten seconds of patience for a lock.
- `synchronous=NORMAL`: a crash of the program loses nothing; a power cut leaves the file whole and may take the last
  commits before it. FULL would keep those too, at an fsync for every commit, every flush of the ledger among them.
- A writing transaction on SQLite takes the write lock at its start, so that it waits its turn and never fails half-way.
- PostgreSQL by URL, with the same code.
- Whatever the database refuses is told in one line with its place and the next step; a password is never shown.

Not here: when a transaction begins and ends (`store/sessions.py`), which tables there are (`store/tables.py`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, IntegrityError, InterfaceError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from sqlalchemy.pool import ConnectionPoolEntry

from domain.errors import ConfigurationInvalid, StoreUnusable
from store.columns import to_json

PATIENCE_SECONDS = 10
WRITING = "writing"
"""Execution option of the connections that are going to write."""

_DAMAGED = "Move the file away; a new one is made at the next start. A saved home brings the state back."
_CLOSED = "Check that the folder exists and that you may write in it."
_LOCKED = "End the program that holds it, then try again."
_REASONS: tuple[tuple[str, str, str], ...] = (
    ("file is not a database", "is not a SQLite database, or is damaged", _DAMAGED),
    ("malformed", "is damaged", _DAMAGED),
    ("unable to open", "cannot be opened", _CLOSED),
    ("readonly", "cannot be written", _CLOSED),
    ("disk is full", "cannot grow: the disk is full", "Free some space."),
    ("database is locked", "stays locked by another program", _LOCKED),
)


def connect(url: str, patience_seconds: float = PATIENCE_SECONDS) -> Engine:
    """Return the engine of a database; nothing is opened yet.

    Args:
        url: `sqlite:///path` or `postgresql://user:password@host/name`.
        patience_seconds: how long to wait for a lock of the SQLite file, or for a connection to the server.

    Raises:
        ConfigurationInvalid: the URL is of no kind that the store knows.
        StoreUnusable: the folder of the SQLite file cannot be made.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise _unknown_kind(url) from error
    if parsed.get_backend_name() == "sqlite" and parsed.database not in {None, "", ":memory:"}:
        return _sqlite(parsed, patience_seconds)
    if parsed.get_backend_name() in {"postgresql", "postgres"}:
        return _postgresql(parsed, patience_seconds)
    raise _unknown_kind(place_of(parsed))


def place_of(url: URL) -> str:
    """Return where a database is: its file, or its URL without the password."""
    if url.get_backend_name() == "sqlite" and url.database:
        return str(Path(url.database))
    return url.render_as_string(hide_password=True)


def look(url: str, patience_seconds: float = PATIENCE_SECONDS) -> str:
    """Let a database answer one question; one that is not there yet is not made.

    Returns:
        Where it is; empty when it is not there yet.

    Raises:
        ConfigurationInvalid: the URL is of no kind that the store knows.
        StoreUnusable: it does not answer.
    """
    with suppress(ArgumentError):
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
            return ""
    engine = connect(url, patience_seconds)
    try:
        with telling(engine), engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    finally:
        engine.dispose()
    return place_of(engine.url)


@contextmanager
def telling(engine: Engine) -> Iterator[None]:
    """Turn what the database refuses inside the block into one line for a person.

    Raises:
        StoreUnusable: it cannot be reached, read or written. Mistakes of the program itself pass unchanged.
    """
    try:
        yield
    except (IntegrityError, DataError, ProgrammingError):
        raise
    except (DatabaseError, InterfaceError, NoConnectionLeft) as error:
        raise _unusable(engine.url, error) from error


def _sqlite(url: URL, patience_seconds: float) -> Engine:
    assert url.database is not None
    folder = Path(url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnusable(
            f"The folder {folder} of the database cannot be made: {error.strerror}.", hint=_CLOSED
        ) from error
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args={"timeout": patience_seconds},
        json_serializer=to_json,
        json_deserializer=json.loads,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql(url: URL, patience_seconds: float) -> Engine:
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={"connect_timeout": max(2, round(patience_seconds))},
        pool_pre_ping=True,
        json_serializer=to_json,
        json_deserializer=json.loads,
    )


def _prepare_sqlite(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
    del entry
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _unusable(url: URL, error: Exception) -> StoreUnusable:
    said = " ".join(str(getattr(error, "orig", error)).split())
    place = place_of(url)
    for needle, what, hint in _REASONS:
        if needle in said:
            return StoreUnusable(f"The database {place} {what}.", hint=hint, details={"place": place, "reason": said})
    return StoreUnusable(
        f"The database {place} does not answer as it should: {said}.",
        hint="See that the server runs and that `store.url` names it.",
        details={"place": place, "reason": said},
    )


def _unknown_kind(shown: str) -> ConfigurationInvalid:
    return ConfigurationInvalid(
        f"{shown} is no database that the store can use.",
        hint="Set `store.url` to sqlite:///path/to/file.db or postgresql://user:password@host/name, or leave it out.",
    )
