"""Spec 8.2, SystemSnapshot - decides what a snapshot holds.

Rules:
- Four components: code (which plugin versions are installed and routed), data, config and state (store rows).
- Every component carries the digest of its content; a snapshot that does not verify is never restored.

Not here: taking and restoring (`activities/snapshots.py`), keeping (`store/snapshots.py`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.base import Model, Moment


class Component(StrEnum):
    """The four parts of the system that come back together."""

    CODE = "code"
    DATA = "data"
    CONFIG = "config"
    STATE = "state"


class SnapshotPart(Model):
    """One component's content, by digest."""

    component: Component
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class SystemSnapshot(Model):
    """The system as it was at one moment."""

    id: str
    upgrade_id: str | None = None
    taken_at: Moment
    version: str
    parts: tuple[SnapshotPart, ...]
