"""Spec 10.1, migrations - decides how Alembic runs: on the connection it is handed, inside its transaction.

Rules:
- Nothing is configured by file and no connection is opened here; `store/schema.py` hands one over.

Not here: the migrations (`versions/`).
"""

from __future__ import annotations

from alembic import context

from store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    target_metadata=metadata,
)
with context.begin_transaction():
    context.run_migrations()
