"""Spec 7.2, the ledger's journal - decides how records wait on disk for a store that does not answer.

Rules:
- One line of JSON per record, in the order in which the calls ended; a line cut short by a crash is left out.
- A mark beside the file says how many entries the store has taken; both go when it has taken all.
- A crash between the store's yes and the mark repeats the entries of that one step, never more.

Not here: when records come here and go to the store (`gateway/ledger.py`).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from domain.base import Model
from domain.calls import CallRecord, CapabilityRequest, OutcomeReport, ReplaySample
from domain.plugins import LifecycleRecord

Entry = CallRecord | CapabilityRequest | OutcomeReport | ReplaySample | LifecycleRecord
"""Everything the ledger writes."""


class Line(Model):
    """An entry on disk; its shape tells its kind, since no two kinds share their required fields."""

    entry: Entry


_LINE = TypeAdapter(Line)


class Journal:
    """A file of entries that the store has not taken yet.

    Attributes:
        length: how many of them there are.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark = path.with_suffix(".taken")
        self._taken = self._marked()
        self.length = max(0, sum(1 for _ in self._lines()) - self._taken)

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
        """Return every entry that the store has not taken, oldest first."""
        return list(itertools.islice(self._lines(), self._taken, None))

    def take(self, count: int) -> None:
        """Remember that the store has taken this many entries more, the oldest ones."""
        self.length -= count
        if self.length > 0:
            self._taken += count
            draft = self._mark.with_suffix(".new")
            draft.write_text(str(self._taken), encoding="ascii")
            draft.replace(self._mark)
        else:
            # In this order: a mark without a file means nothing, a file without its mark is written again whole.
            self._path.unlink(missing_ok=True)
            self._mark.unlink(missing_ok=True)
            self._taken = 0

    def _marked(self) -> int:
        if not self._path.exists():
            self._mark.unlink(missing_ok=True)
            return 0
        try:
            return int(self._mark.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return 0

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
