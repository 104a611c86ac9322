"""Spec 9.1, tables - decides which tables there are.

Rules:
- Tables of two shapes hold whole documents as JSON beside the columns they are searched by: `RecordRow` for things that
  change, `JournalRow` for things that were said once.
- `position` is the order in which rows were first put; the newest has the highest.
- Calls, samples, compensations, slots and audit entries have columns of their own, because SQL computes with them.

Not here: reading and writing (one file per concept beside this one), making the tables (`store/migrations/`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, Index, Table, UniqueConstraint
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from store.columns import BigKey, CleanText, UtcMoment

_REGISTRY = registry()
metadata = _REGISTRY.metadata


class Row(SQLModel, registry=_REGISTRY):
    """The base of every table of the house."""


class RecordRow(Row):
    """A document that changes, found by id, status and capability."""

    position: int | None = Field(default=None, primary_key=True, sa_type=BigKey)
    id: str = Field(sa_type=CleanText, unique=True)
    status: str | None = Field(default=None, sa_type=CleanText, index=True)
    capability: str | None = Field(default=None, sa_type=CleanText, index=True)
    body: dict[str, Any] = Field(sa_type=JSON)


class CycleRow(RecordRow, table=True):
    """A cycle."""

    __tablename__ = "cycles"


class OpportunityRow(RecordRow, table=True):
    """An opportunity."""

    __tablename__ = "opportunities"


class PlanRow(RecordRow, table=True):
    """An upgrade plan."""

    __tablename__ = "plans"


class UpgradeRow(RecordRow, table=True):
    """An upgrade."""

    __tablename__ = "upgrades"


class ExperimentRow(RecordRow, table=True):
    """An experiment."""

    __tablename__ = "experiments"


class RolloutRow(RecordRow, table=True):
    """A rollout."""

    __tablename__ = "rollouts"


class SnapshotRow(RecordRow, table=True):
    """A snapshot; its content lies in files."""

    __tablename__ = "snapshots"


class JournalRow(Row):
    """A document that was said once about `owner`."""

    position: int | None = Field(default=None, primary_key=True, sa_type=BigKey)
    id: str = Field(sa_type=CleanText, unique=True)
    owner: str = Field(sa_type=CleanText, index=True)
    at: datetime | None = Field(default=None, sa_type=UtcMoment, index=True)
    body: dict[str, Any] = Field(sa_type=JSON)


class DecisionRow(JournalRow, table=True):
    """A decision; its owner is the opportunity."""

    __tablename__ = "decisions"


class GateLogRow(JournalRow, table=True):
    """A look at the gates; its owner is the rollout."""

    __tablename__ = "gate_log"


class ApprovalRow(JournalRow, table=True):
    """A person's answer; its owner is the upgrade."""

    __tablename__ = "approvals"


class RequestRow(JournalRow, table=True):
    """A capability that was lacking; its owner is the caller."""

    __tablename__ = "requests"


class OutcomeRow(JournalRow, table=True):
    """How a task ended; its owner is the caller."""

    __tablename__ = "outcomes"


class SettingsRow(JournalRow, table=True):
    """The settings as they were from one moment on; their owner is who set them."""

    __tablename__ = "settings_log"


class DiscoveryRow(Row, table=True):
    """What one cycle discovered."""

    __tablename__ = "discoveries"

    cycle_id: str = Field(primary_key=True, sa_type=CleanText)
    patterns: list[Any] = Field(sa_type=JSON)
    gaps: list[Any] = Field(sa_type=JSON)


class CallRow(Row, table=True):
    """One attempt to serve a call; the fields are those of `CallRecord`."""

    __tablename__ = "calls"
    __table_args__: ClassVar[tuple[Index, ...]] = (
        Index("ix_calls_version", "capability", "version", "started_at"),
        Index("ix_calls_started_at", "started_at"),
    )

    position: int | None = Field(default=None, primary_key=True, sa_type=BigKey)
    call_id: str = Field(sa_type=CleanText)
    final: bool
    capability: str = Field(sa_type=CleanText)
    method: str = Field(sa_type=CleanText)
    variant: str | None = Field(default=None, sa_type=CleanText)
    version: str | None = Field(default=None, sa_type=CleanText)
    upgrade_id: str | None = Field(default=None, sa_type=CleanText)
    caller: str = Field(sa_type=CleanText)
    agent: str = Field(sa_type=CleanText)
    started_at: datetime = Field(sa_type=UtcMoment)
    duration_ms: float
    error: str | None = Field(default=None, sa_type=CleanText)
    error_message: str = Field(sa_type=CleanText)


class SampleRow(Row, table=True):
    """Arguments of a real call; `digest` tells equal ones."""

    __tablename__ = "samples"
    __table_args__: ClassVar[tuple[UniqueConstraint, ...]] = (UniqueConstraint("capability", "method", "digest"),)

    position: int | None = Field(default=None, primary_key=True, sa_type=BigKey)
    capability: str = Field(sa_type=CleanText)
    method: str = Field(sa_type=CleanText)
    digest: str = Field(sa_type=CleanText)
    recorded_at: datetime = Field(sa_type=UtcMoment)
    arguments: dict[str, Any] = Field(sa_type=JSON)


class RoutingTableRow(Row, table=True):
    """The routing table at one generation."""

    __tablename__ = "routing_tables"

    generation: int = Field(primary_key=True, sa_type=BigKey, sa_column_kwargs={"autoincrement": False})
    saved_at: datetime = Field(sa_type=UtcMoment)
    body: dict[str, Any] = Field(sa_type=JSON)


class PackageRow(Row, table=True):
    """A plugin package that is installed; its files lie in the home."""

    __tablename__ = "packages"

    position: int | None = Field(default=None, primary_key=True, sa_type=BigKey)
    digest: str = Field(sa_type=CleanText, unique=True)
    name: str = Field(sa_type=CleanText, index=True)
    version: str = Field(sa_type=CleanText)
    added_at: datetime = Field(sa_type=UtcMoment)
    body: dict[str, Any] = Field(sa_type=JSON)


class CompensationRow(Row, table=True):
    """What takes one step of one upgrade back."""

    __tablename__ = "compensations"
    __table_args__: ClassVar[tuple[UniqueConstraint, ...]] = (UniqueConstraint("upgrade_id", "sequence"),)

    id: str = Field(primary_key=True, sa_type=CleanText)
    upgrade_id: str = Field(sa_type=CleanText)
    step: str = Field(sa_type=CleanText)
    sequence: int
    kind: str = Field(sa_type=CleanText)
    arguments: dict[str, Any] = Field(sa_type=JSON)
    state: str = Field(sa_type=CleanText, index=True)
    registered_at: datetime = Field(sa_type=UtcMoment)
    error: str = Field(sa_type=CleanText)


class SlotRow(Row, table=True):
    """An upgrade that is under way."""

    __tablename__ = "slots"

    upgrade_id: str = Field(primary_key=True, sa_type=CleanText)
    capability: str = Field(sa_type=CleanText, unique=True)
    acquired_at: datetime = Field(sa_type=UtcMoment)


class AuditRow(Row, table=True):
    """One audit entry; moment and detail are kept to the letter as they were hashed."""

    __tablename__ = "audit_entries"

    sequence: int = Field(primary_key=True, sa_type=BigKey, sa_column_kwargs={"autoincrement": False})
    key: str = Field(sa_type=CleanText, unique=True)
    at: str = Field(sa_type=CleanText)
    actor: str = Field(sa_type=CleanText)
    action: str = Field(sa_type=CleanText)
    subject: str = Field(sa_type=CleanText, index=True)
    detail: str = Field(sa_type=CleanText)
    previous_hash: str = Field(sa_type=CleanText)
    hash: str = Field(sa_type=CleanText)


class AuditHeadRow(Row, table=True):
    """The newest audit entry: the one row that writers queue for, and that tells when the end was cut off."""

    __tablename__ = "audit_head"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    sequence: int = Field(sa_type=BigKey)
    hash: str = Field(sa_type=CleanText)


def table_of(row: type[SQLModel]) -> Table:
    """Return the table behind a row's class."""
    return metadata.tables[str(row.__tablename__)]
