"""Spec 7.2, the ledger's journal - decides how records wait on disk for a store that does not answer.

Rules:
- One line of JSON per record, in the order in which the calls ended; a line cut short by a crash is left out.
- What the store has taken is removed in one step; until then it stands.

Not here: when records come here and go to the store (`gateway/ledger.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from domain.base import Model
from domain.calls import CallRecord, CapabilityRequest, OutcomeReport, ReplaySample

Entry = CallRecord | CapabilityRequest | OutcomeReport | ReplaySample
"""Everything the ledger writes."""


class Line(Model):
    """An entry on disk; its shape tells its kind, since no two kinds share their required fields."""

    entry: Entry


_LINE = TypeAdapter(Line)


class Journal:
    """A file of entries that the store has not taken yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.length = sum(1 for _ in self._lines())

    def append(self, entries: Sequence[Entry]) -> None:
        """Write the entries behind the others and wait until they are on disk.

        Raises:
            OSError: the disk does not take them.
        """
        with self._path.open("ab") as file:
            file.writelines(_encoded(entry) for entry in entries)
            file.flush()
            os.fsync(file.fileno())
        self.length += len(entries)

    def read(self) -> list[Entry]:
        """Return every entry, oldest first."""
        return list(self._lines())

    def replace(self, entries: Sequence[Entry]) -> None:
        """Let exactly these entries stand, and no file if there are none."""
        if entries:
            draft = self._path.with_suffix(".new")
            with draft.open("wb") as file:
                file.writelines(_encoded(entry) for entry in entries)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        else:
            self._path.unlink(missing_ok=True)
        self.length = len(entries)

    def _lines(self) -> Iterator[Entry]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            for line in file:
                try:
                    yield _LINE.validate_json(line).entry
                except ValidationError:
                    continue


def _encoded(entry: Entry) -> bytes:
    return Line(entry=entry).model_dump_json().encode() + b"\n"
