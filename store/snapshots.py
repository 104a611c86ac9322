"""Spec 8.2, snapshot registry - decides what is kept of a snapshot beside its files.

Rules:
- The row says that the snapshot exists; it is written after the files and deleted before them.

Not here: the files (`activities/snapshots.py`).
"""

from __future__ import annotations

from domain.snapshots import SystemSnapshot
from store.records import Records
from store.sessions import Sessions
from store.tables import SnapshotRow


class Snapshots(Records[SystemSnapshot]):
    """Every snapshot that can be restored."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__(sessions, SnapshotRow, SystemSnapshot)
