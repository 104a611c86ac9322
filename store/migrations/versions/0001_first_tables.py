"""Make the first tables, and the wall around the audit log.

Revision ID: 0001
Revises: none
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

GENESIS = "0" * 64
RECORDS = ("cycles", "opportunities", "plans", "upgrades", "experiments", "rollouts", "snapshots")
JOURNALS = ("decisions", "gate_log", "approvals", "requests", "outcomes", "settings_log")


def upgrade() -> None:
    """Make everything."""
    for name in RECORDS:
        _records(name)
    for name in JOURNALS:
        _journal(name)
    _discoveries()
    _calls()
    _samples()
    _routing_tables()
    _packages()
    _compensations()
    _slots()
    _audit()
    if op.get_bind().dialect.name == "sqlite":
        _wall_on_sqlite()
    else:
        _wall_on_postgresql()


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=False)


def _big() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _position() -> sa.Column[int]:
    return sa.Column("position", _big(), primary_key=True)


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, [*columns])


def _records(name: str) -> None:
    op.create_table(
        name,
        _position(),
        _text("id"),
        _text("status", nullable=True),
        _text("capability", nullable=True),
        _json("body"),
        sa.UniqueConstraint("id"),
    )
    _index(name, "status")
    _index(name, "capability")


def _journal(name: str) -> None:
    op.create_table(
        name,
        _position(),
        _text("id"),
        _text("owner"),
        _moment("at", nullable=True),
        _json("body"),
        sa.UniqueConstraint("id"),
    )
    _index(name, "owner")
    _index(name, "at")


def _discoveries() -> None:
    op.create_table(
        "discoveries", sa.Column("cycle_id", sa.Text(), primary_key=True), _json("patterns"), _json("gaps")
    )


def _calls() -> None:
    op.create_table(
        "calls",
        _position(),
        _text("call_id"),
        sa.Column("final", sa.Boolean(), nullable=False),
        _text("capability"),
        _text("method"),
        _text("variant", nullable=True),
        _text("version", nullable=True),
        _text("upgrade_id", nullable=True),
        _text("caller"),
        _text("agent"),
        _moment("started_at"),
        sa.Column("duration_ms", sa.Float(), nullable=False),
        _text("error", nullable=True),
        _text("error_message"),
    )
    op.create_index("ix_calls_version", "calls", ["capability", "version", "started_at"])
    op.create_index("ix_calls_started_at", "calls", ["started_at"])


def _samples() -> None:
    op.create_table(
        "samples",
        _position(),
        _text("capability"),
        _text("method"),
        _text("digest"),
        _moment("recorded_at"),
        _json("arguments"),
        sa.UniqueConstraint("capability", "method", "digest"),
    )


def _routing_tables() -> None:
    op.create_table(
        "routing_tables",
        sa.Column("generation", _big(), primary_key=True, autoincrement=False),
        _moment("saved_at"),
        _json("body"),
    )


def _packages() -> None:
    op.create_table(
        "packages",
        _position(),
        _text("digest"),
        _text("name"),
        _text("version"),
        _moment("added_at"),
        _json("body"),
        sa.UniqueConstraint("digest"),
    )
    _index("packages", "name")


def _compensations() -> None:
    op.create_table(
        "compensations",
        sa.Column("id", sa.Text(), primary_key=True),
        _text("upgrade_id"),
        _text("step"),
        sa.Column("sequence", sa.Integer(), nullable=False),
        _text("kind"),
        _json("arguments"),
        _text("state"),
        _moment("registered_at"),
        _text("error"),
        sa.UniqueConstraint("upgrade_id", "sequence"),
    )
    _index("compensations", "state")


def _slots() -> None:
    op.create_table(
        "slots",
        sa.Column("upgrade_id", sa.Text(), primary_key=True),
        _text("capability"),
        _moment("acquired_at"),
        sa.UniqueConstraint("capability"),
    )


def _audit() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("sequence", _big(), primary_key=True, autoincrement=False),
        _text("key"),
        _text("at"),
        _text("actor"),
        _text("action"),
        _text("subject"),
        _text("detail"),
        _text("previous_hash"),
        _text("hash"),
        sa.UniqueConstraint("key"),
    )
    _index("audit_entries", "subject")
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("sequence", _big(), nullable=False),
        _text("hash"),
    )
    op.bulk_insert(head, [{"id": 1, "sequence": 0, "hash": GENESIS}])


def _wall_on_sqlite() -> None:
    # `INSERT OR REPLACE` deletes without firing delete triggers, so an insert must be the next entry, under a new key.
    out_of_turn = (
        "NEW.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM audit_entries)"
        " OR EXISTS (SELECT 1 FROM audit_entries WHERE key = NEW.key)"
    )
    for name, event, condition in (
        ("audit_entries_insert", "INSERT ON audit_entries", f"WHEN {out_of_turn}"),
        ("audit_entries_update", "UPDATE ON audit_entries", ""),
        ("audit_entries_delete", "DELETE ON audit_entries", ""),
        ("audit_head_update", "UPDATE ON audit_head", "WHEN NEW.sequence <> OLD.sequence + 1"),
        ("audit_head_delete", "DELETE ON audit_head", ""),
    ):
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} {condition}"
            " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        )


def _wall_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$"
    )
    for name, event, rest in (
        ("audit_entries_change", "UPDATE OR DELETE ON audit_entries", "FOR EACH ROW"),
        ("audit_entries_truncate", "TRUNCATE ON audit_entries", "FOR EACH STATEMENT"),
        ("audit_head_update", "UPDATE ON audit_head", "FOR EACH ROW WHEN (NEW.sequence <> OLD.sequence + 1)"),
        ("audit_head_delete", "DELETE ON audit_head", "FOR EACH ROW"),
        ("audit_head_truncate", "TRUNCATE ON audit_head", "FOR EACH STATEMENT"),
    ):
        op.execute(f"CREATE TRIGGER {name} BEFORE {event} {rest} EXECUTE FUNCTION audit_is_append_only()")
