"""Spec 10.1, working without the store - decides how the gateway uses a store that may not be there.

Rules:
- The store is opened at first need, and again at the next need if that failed; nobody who serves calls waits for it.
- The last table in force is also a file in the home, so that the door opens with the agents' tools while the database
  is down. The store's word counts when it has one.

Not here: what the ledger does meanwhile (`gateway/ledger.py`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from domain.errors import StoreUnusable
from domain.plugins import LifecycleRecord
from domain.routing import RoutingTable
from gateway.journal import Entry
from gateway.ledger import StoreSink
from store.database import Store

ACTOR = "gateway"
_LOG = logging.getLogger(__name__)


class Memory:
    """What the gateway remembers across restarts.

    Args:
        open_store: opens the database, or raises StoreUnusable.
        table_file: where the last table in force is kept beside it.
        replay_samples: how many samples of each method the store keeps.
    """

    def __init__(self, open_store: Callable[[], Store], table_file: Path, replay_samples: int) -> None:
        self._open_store = open_store
        self._table_file = table_file
        self._replay_samples = replay_samples
        self._lock = threading.Lock()
        self._store: Store | None = None

    def store(self) -> Store:
        """Return the open store.

        Raises:
            StoreUnusable: it cannot be opened now.
        """
        with self._lock:
            if self._store is None:
                self._store = self._open_store()
            return self._store

    def close(self) -> None:
        """Close the store if it is open."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None

    def load_table(self) -> RoutingTable:
        """Return the last table in force; the empty one in a new home."""
        try:
            return self.store().routes.load()
        except StoreUnusable as error:
            _LOG.warning("The store has no routing table for us (%s); the home's copy is taken.", error)
        try:
            return RoutingTable.model_validate_json(self._table_file.read_bytes())
        except (OSError, ValidationError):
            return RoutingTable()

    def save_table(self, table: RoutingTable, at: datetime) -> None:
        """Remember a table.

        Raises:
            StoreUnusable: the store does not take it; nothing is remembered.
            IllegalTransition: its generation does not follow the one the store has.
        """
        self.store().routes.save(table, at)
        self.copy_table(table)

    def copy_table(self, table: RoutingTable) -> None:
        """Keep the home's copy of a table; without it the door only depends on the store at its next start."""
        draft = self._table_file.with_suffix(".new")
        try:
            draft.write_text(table.model_dump_json(), encoding="utf-8")
            draft.replace(self._table_file)
        except OSError as error:
            _LOG.warning("The home's copy of the routing table could not be written: %s", error)

    def write(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Write ledger entries and return those that could not be written."""
        try:
            store = self.store()
        except StoreUnusable as error:
            _LOG.warning("The store cannot be opened; %d ledger entries wait: %s", len(entries), error)
            return entries
        return StoreSink(
            calls=store.calls.append,
            requests=store.requests.append,
            outcomes=store.outcomes.append,
            samples=lambda samples: store.samples.add(samples, self._replay_samples),
            lifecycle=lambda records: _audit(store, records),
        ).write(entries)


def _audit(store: Store, records: Sequence[LifecycleRecord]) -> None:
    for record in records:
        happened = record.happened
        store.audit.append(
            key=f"plugin/{record.id}",
            at=record.at,
            actor=ACTOR,
            action=f"plugin.{happened.event}",
            subject=happened.version.id,
            detail=happened.model_dump(mode="json", include={"reason", "isolation"}, exclude_none=True)
            | {"digest": happened.version.digest},
        )
