"""Spec 7.2, metrics collection - decides how every call gets into the store without any call waiting for it.

Rules:
- A call only appends to a queue in memory; one thread takes from it every `flush_seconds`, or sooner when a batch is
  full, and writes to the store.
- While the store does not answer, the thread moves the queue to a journal in the home and tries again with growing
  patience; what waits there is written first, in order, also after a restart.
- Back pressure: the queue is bounded. When it is full, because neither store nor disk takes anything, the oldest entry
  is given up and counted. An agent never waits for our book-keeping.
- `flush` returns when everything that was added before it is in the store.
- A process that is killed loses what has been in memory for less than `flush_seconds` and, when the store is just then
  slow to refuse, for the store's patience: one refusal is waited for, never one for each kind of entry. What waits in
  the journal stays; if the kill falls between the store's yes and the journal's mark, one batch is in the store twice.

Not here: what a record says (`domain/calls.py`), the journal's lines (`gateway/journal.py`).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from domain.calls import CallRecord, CapabilityRequest, OutcomeReport, ReplaySample
from domain.errors import StoreUnusable
from domain.plugins import LifecycleRecord
from gateway.journal import Entry, Journal

_LOG = logging.getLogger(__name__)
E = TypeVar("E", CallRecord, CapabilityRequest, OutcomeReport, ReplaySample, LifecycleRecord)
LONGEST_PAUSE_SECONDS = 10.0


class Sink(Protocol):
    """Where the ledger ends up: the store, as far as the ledger needs it."""

    def write(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Write the entries and return those that could not be written."""


@dataclass(frozen=True)
class LedgerState:
    """How the ledger stands: entries in memory, in the journal, given up; whether the store took the last batch."""

    queued: int
    journalled: int
    lost: int
    store_answers: bool


class Ledger:
    """Takes entries at once and brings them to the store in the background.

    Args:
        sink: where they go.
        journal: where they wait.
        flush_seconds: longest time an entry stays in memory while the store answers.
        batch: entries written at once.
        limit: entries the queue holds.
    """

    def __init__(
        self, sink: Sink, journal: Journal, *, flush_seconds: float, batch: int = 500, limit: int = 50_000
    ) -> None:
        self._sink = sink
        self._journal = journal
        self._flush_seconds = flush_seconds
        self._batch = batch
        self._queue: deque[Entry] = deque(maxlen=limit)
        self._flushes: list[Future[None]] = []
        self._flushes_lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._lost = 0
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        """Start writing."""
        self._thread.start()

    def add(self, entry: Entry) -> None:
        """Take one entry; never waits."""
        if len(self._queue) == self._queue.maxlen:
            self._lost += 1
        self._queue.append(entry)
        if len(self._queue) == self._batch:
            self._wake.set()

    @property
    def state(self) -> LedgerState:
        """How the ledger stands now."""
        return LedgerState(
            queued=len(self._queue),
            journalled=self._journal.length,
            lost=self._lost,
            store_answers=self._failures == 0,
        )

    async def flush(self) -> None:
        """Wait until everything added so far is in the store.

        Raises:
            StoreUnusable: the store does not take it; it waits in the journal.
        """
        if not self._thread.is_alive():
            return
        done: Future[None] = Future()
        with self._flushes_lock:
            self._flushes.append(done)
        self._wake.set()
        await asyncio.wrap_future(done)

    async def close(self) -> None:
        """Write what is left, to the journal if need be, and stop."""
        self._closing = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while True:
            self._wake.wait(self._pause())
            self._wake.clear()
            closing, flushes = self._closing, self._taken_flushes()
            try:
                self._write_everything()
            except Exception:
                self._failures += 1
                _LOG.exception("The ledger could not be written; it is tried again.")
            for done in flushes:
                self._answer(done)
            if closing:
                return

    def _pause(self) -> float:
        """Return the seconds until the next try: the interval, doubled for every failure in a row."""
        return min(
            self._flush_seconds * 2.0 ** min(self._failures, 20), max(LONGEST_PAUSE_SECONDS, self._flush_seconds)
        )

    def _taken_flushes(self) -> list[Future[None]]:
        with self._flushes_lock:
            taken, self._flushes = self._flushes, []
        return taken

    def _write_everything(self) -> None:
        self._empty_journal()
        for _ in range(1 + len(self._queue) // self._batch):
            taken = list(itertools.islice(_popped(self._queue), self._batch))
            left = self._written(taken) if self._journal.length == 0 else taken
            if left:
                self._keep(left)

    def _empty_journal(self) -> None:
        """Write what waits, batch by batch; a batch of which the store took only a part waits with the rest of it."""
        if self._journal.length == 0:
            return
        waiting = self._journal.read()
        for start in range(0, len(waiting), self._batch):
            batch = waiting[start : start + self._batch]
            left = self._written(batch)
            if left and len(left) == len(batch):
                return
            if left and not self._kept(left):
                return
            self._journal.take(len(batch))
            if left:
                return

    def _written(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Write to the store and return what it did not take."""
        if not entries:
            return entries
        left = self._sink.write(entries)
        self._failures = self._failures + 1 if left else 0
        return left

    def _keep(self, entries: Sequence[Entry]) -> None:
        """Let entries wait on disk, or back in the queue when the disk refuses."""
        if self._kept(entries):
            return
        room = (self._queue.maxlen or 0) - len(self._queue)
        self._lost += max(0, len(entries) - room)
        self._queue.extendleft(reversed(entries[-room:] if room else []))

    def _kept(self, entries: Sequence[Entry]) -> bool:
        """Append entries to the journal and say whether the disk took them."""
        try:
            self._journal.append(entries)
        except OSError as error:
            _LOG.error("The ledger's journal takes nothing (%s); %d entries wait in memory.", error, len(entries))
            return False
        return True

    def _answer(self, done: Future[None]) -> None:
        if self._failures or self._journal.length:
            done.set_exception(
                StoreUnusable(
                    f"The store does not take the ledger; {self._journal.length} entries wait in the journal.",
                    hint="They are written as soon as the store answers; the gateway's log says why it does not.",
                )
            )
        else:
            done.set_result(None)


def _popped(queue: deque[Entry]) -> Iterator[Entry]:
    """Take from the left until nothing is there, while others append."""
    while True:
        try:
            yield queue.popleft()
        except IndexError:
            return


class StoreSink:
    """Writes entries to the tables of their kinds.

    Args:
        calls, requests, outcomes: append a batch of one kind.
        samples: add a batch of replay samples.
        lifecycle: append a batch of what happened to versions.
    """

    def __init__(
        self,
        *,
        calls: Callable[[Sequence[CallRecord]], None],
        requests: Callable[[Sequence[CapabilityRequest]], None],
        outcomes: Callable[[Sequence[OutcomeReport]], None],
        samples: Callable[[Sequence[ReplaySample]], None],
        lifecycle: Callable[[Sequence[LifecycleRecord]], None],
    ) -> None:
        self._calls, self._requests, self._outcomes, self._samples = calls, requests, outcomes, samples
        self._lifecycle = lifecycle

    def write(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Write each kind in one transaction and return what is left: everything from the first refused kind on.

        A store that does not answer has cost its patience once by then; it is not asked for the other kinds.
        """
        left: list[Entry] = []
        _write(self._calls, [entry for entry in entries if isinstance(entry, CallRecord)], left)
        _write(self._requests, [entry for entry in entries if isinstance(entry, CapabilityRequest)], left)
        _write(self._outcomes, [entry for entry in entries if isinstance(entry, OutcomeReport)], left)
        _write(self._samples, [entry for entry in entries if isinstance(entry, ReplaySample)], left)
        _write(self._lifecycle, [entry for entry in entries if isinstance(entry, LifecycleRecord)], left)
        if left:
            _LOG.warning("The store did not take %d entries of the ledger; they wait.", len(left))
        return left


def _write(append: Callable[[Sequence[E]], None], entries: Sequence[E], left: list[Entry]) -> None:
    """Append entries of one kind, or add them to what is left when the store does not answer.

    A store that answers and refuses, refuses one entry; it goes to the log, so that it does not hold up the others.
    """
    if left or not entries:
        left.extend(entries)
        return
    try:
        append(entries)
    except StoreUnusable as error:
        _LOG.warning("%s", error)
        left.extend(entries)
    except Exception as error:
        if len(entries) == 1:
            _LOG.error("The store refuses an entry of the ledger (%s): %s", error, entries[0].model_dump_json())
            return
        for entry in entries:
            _write(append, [entry], left)
