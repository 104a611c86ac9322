"""Spec 10.1, migrations - decides whether a database may be used, and brings its tables up to date.

Rules:
- Tables are made and changed by migrations only, in one transaction that takes the write lock first: of several
  processes that start at once, one migrates and the others find it done.
- A database of a newer version, or of another program, is refused and left as it is.

Not here: the migrations (`store/migrations/versions/`).
"""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, inspect, select

from domain.errors import StoreUnusable
from store.connections import WRITING, place_of, telling
from store.sessions import lock_number
from store.tables import metadata

VERSION_TABLE = "loop_schema_version"
_MIGRATIONS = Path(__file__).parent / "migrations"
_ONE_AT_A_TIME = threading.Lock()
"""Alembic keeps the migration that runs in a module-wide variable."""


def bring_up_to_date(engine: Engine) -> None:
    """Make or migrate the tables, unless they are up to date.

    Raises:
        StoreUnusable: the database cannot be read, is of a newer version, or is another program's.
    """
    scripts = ScriptDirectory.from_config(_config())
    head = scripts.get_current_head()
    with telling(engine):
        with engine.connect() as connection:
            if _version(connection) == head:
                return
        with _ONE_AT_A_TIME, engine.execution_options(**{WRITING: True}).begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(lock_number("migration"))))
            current = _version(connection)
            _refuse_unknown(connection, current, {script.revision for script in scripts.walk_revisions()})
            if current != head:
                command.upgrade(_config(connection), "head")


def _refuse_unknown(connection: Connection, current: str | None, known: set[str]) -> None:
    place = place_of(connection.engine.url)
    if current is not None and current not in known:
        raise StoreUnusable(
            f"The database {place} was made by a newer version (schema {current}; this one knows up to {max(known)}).",
            hint="Update this program, or restore a snapshot taken before the newer one ran.",
            details={"place": place, "schema": current, "newest_known": max(known)},
        )
    if current is not None:
        return
    tables = set(inspect(connection).get_table_names()) - {VERSION_TABLE}
    ours = tables & set(metadata.tables)
    foreign = tables if connection.dialect.name == "sqlite" else ours
    if foreign:
        raise StoreUnusable(
            f"The database {place} belongs to another program: it holds {', '.join(sorted(foreign)[:3])}.",
            hint="Name an empty database, or a file that does not exist yet, in `store.url`.",
            details={"place": place, "tables": [*sorted(foreign)]},
        )


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    return config
