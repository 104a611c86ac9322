"""The ledger's way from memory to the store, with the journal between them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.calls import CallRecord, CapabilityRequest, OutcomeReport, ReplaySample, RequestKind
from domain.errors import StoreUnusable
from gateway.journal import Entry, Journal
from gateway.ledger import Ledger, StoreSink
from gateway.service import Outside
from store.database import open_store
from tests.gateway.factories import Agent, house, route, stored, until

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Sink:
    """A store that can be switched off."""

    def __init__(self) -> None:
        self.open = True
        self.taken: list[Entry] = []

    def write(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        if not self.open:
            return entries
        self.taken.extend(entries)
        return ()


def call(number: int) -> CallRecord:
    return CallRecord(
        call_id=f"call-{number}", capability="text", method="shout", caller="c", started_at=NOW, duration_ms=1
    )


def ids(entries: Sequence[Entry]) -> list[str]:
    return [entry.call_id for entry in entries if isinstance(entry, CallRecord)]


def ledger(sink: Sink, path: Path, **options: int) -> Ledger:
    made = Ledger(sink, Journal(path / "ledger.jsonl"), flush_seconds=0.02, **options)
    made.start()
    return made


async def test_a_flush_returns_when_everything_before_it_is_stored(tmp_path: Path) -> None:
    sink = Sink()
    book = ledger(sink, tmp_path, batch=10)
    for number in range(95):
        book.add(call(number))
    await book.flush()
    assert ids(sink.taken) == [f"call-{number}" for number in range(95)]
    await book.close()


async def test_entries_wait_in_the_journal_and_come_out_in_order(tmp_path: Path) -> None:
    sink = Sink()
    book = ledger(sink, tmp_path, batch=10)
    sink.open = False
    for number in range(25):
        book.add(call(number))
    with pytest.raises(StoreUnusable, match="25 entries wait"):
        await book.flush()
    assert (book.state.journalled, book.state.store_answers) == (25, False)
    sink.open = True
    for number in range(25, 30):
        book.add(call(number))
    await book.flush()
    assert ids(sink.taken) == [f"call-{number}" for number in range(30)]
    assert (book.state.journalled, book.state.lost, book.state.store_answers) == (0, 0, True)
    await book.close()


async def test_what_the_store_did_not_take_survives_a_restart(tmp_path: Path) -> None:
    sink = Sink()
    sink.open = False
    book = ledger(sink, tmp_path)
    book.add(call(1))
    await book.close()
    assert sink.taken == []
    sink.open = True
    book = ledger(sink, tmp_path)
    await book.flush()
    assert ids(sink.taken) == ["call-1"]
    await book.close()


async def test_a_full_queue_gives_up_the_oldest_and_counts_it(tmp_path: Path) -> None:
    sink = Sink()
    sink.open = False
    book = Ledger(sink, Journal(tmp_path / "no-such-folder" / "ledger.jsonl"), flush_seconds=60, limit=5)
    for number in range(8):
        book.add(call(number))
    assert (book.state.queued, book.state.lost) == (5, 3)
    book.start()
    with pytest.raises(StoreUnusable):
        await book.flush()
    assert (book.state.queued, book.state.lost) == (5, 3)
    sink.open = True
    await book.flush()
    assert ids(sink.taken) == [f"call-{number}" for number in range(3, 8)]
    await book.close()


async def test_it_writes_by_itself(tmp_path: Path) -> None:
    sink = Sink()
    book = ledger(sink, tmp_path)
    book.add(call(1))
    await until(lambda: bool(sink.taken))
    await book.close()


async def test_a_disk_that_fails_once_does_not_end_the_ledger(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink()
    sink.open = False
    book = ledger(sink, tmp_path, batch=2)
    for number in range(5):
        book.add(call(number))
    with pytest.raises(StoreUnusable):
        await book.flush()
    (tmp_path / "ledger.new").mkdir()  # stands in the way of the journal's mark
    sink.open = True
    with pytest.raises(StoreUnusable):
        await book.flush()
    (tmp_path / "ledger.new").rmdir()
    await book.flush()
    await book.close()

    assert "tried again" in caplog.text
    assert set(ids(sink.taken)) == {f"call-{number}" for number in range(5)}


def test_a_journal_that_was_half_taken_goes_on_where_the_store_stopped(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    first = Journal(path)
    first.append([call(number) for number in range(10)])
    first.take(4)
    first.append([call(10)])

    second = Journal(path)
    assert (second.length, ids(second.read())) == (7, [f"call-{number}" for number in range(4, 11)])
    second.take(7)
    assert (second.length, list(tmp_path.iterdir()), Journal(path).length) == (0, [], 0)


def test_a_mark_without_its_journal_means_nothing(tmp_path: Path) -> None:
    (tmp_path / "ledger.taken").write_text("4", encoding="ascii")
    journal = Journal(tmp_path / "ledger.jsonl")
    journal.append([call(number) for number in range(5)])
    assert journal.length == len(journal.read()) == 5


async def test_every_call_is_one_final_record_also_while_the_database_is_locked(tmp_path: Path) -> None:
    """The lock outlasts the store's patience, so that the batches are refused and wait in the journal."""
    built = house(tmp_path)
    version = built.install("1.0.0")
    hasty = Outside(open_store=lambda: open_store(built.home.database_url, patience_seconds=0.1))
    async with built.running(outside=hasty) as running:
        await running.admin.set_route(route(version))
        holder = sqlite3.connect(built.home.database_url.removeprefix("sqlite:///"), isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        async with Agent(running.door) as agent:
            answers = await asyncio.gather(*(agent.shout() for _ in range(100)))
            await until((built.home.root / "ledger.jsonl").exists)
            answers += [await agent.shout() for _ in range(20)]
            standing = (await running.admin.status()).store_answers
            holder.execute("ROLLBACK")
            holder.close()
            answers += [await agent.shout() for _ in range(20)]
        await running.admin.flush()
        records = stored(built.home)

    assert (answers, standing) == (["1.0.0"] * 140, False)
    assert len(records.calls) == len({record.call_id for record in records.final}) == 140


def test_the_journal_keeps_kinds_apart_and_leaves_out_a_line_cut_short(tmp_path: Path) -> None:
    entries: list[Entry] = [
        call(1),
        CapabilityRequest(id="r", kind=RequestKind.ASKED, text="pdf", caller="c", requested_at=NOW),
        OutcomeReport(id="o", success=True, caller="c", reported_at=NOW),
        ReplaySample(capability="text", method="shout", arguments={"text": "x"}, recorded_at=NOW),
    ]
    path = tmp_path / "ledger.jsonl"
    Journal(path).append(entries)
    with path.open("ab") as file:
        file.write(b'{"entry": {"call_id": "cut')
    journal = Journal(path)
    assert (journal.length, journal.read()) == (4, entries)


def test_a_store_that_does_not_answer_is_waited_for_once_and_not_for_each_kind_of_entry() -> None:
    asked: list[str] = []

    def refusing(kind: str) -> Callable[[Sequence[Entry]], None]:
        def append(_: Sequence[Entry]) -> None:
            asked.append(kind)
            if kind == "requests":
                raise StoreUnusable("It stays locked.")

        return append

    sink = StoreSink(
        calls=refusing("calls"),
        requests=refusing("requests"),
        outcomes=refusing("outcomes"),
        samples=refusing("samples"),
        lifecycle=refusing("lifecycle"),
    )
    request = CapabilityRequest(id="r", kind=RequestKind.ASKED, text="pdf", caller="c", requested_at=NOW)
    sample = ReplaySample(capability="text", method="shout", arguments={}, recorded_at=NOW)
    assert sink.write([sample, request, call(1)]) == [request, sample]
    assert asked == ["calls", "requests"]


def test_an_entry_that_the_store_refuses_does_not_hold_up_the_others(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{(tmp_path / 'loop.db').as_posix()}")

    def append(records: Sequence[CallRecord]) -> None:
        if any(record.call_id == "call-3" for record in records):
            raise ValueError("not this one")
        store.calls.append(records)

    sink = StoreSink(
        calls=append,
        requests=store.requests.append,
        outcomes=store.outcomes.append,
        samples=lambda _: None,
        lifecycle=lambda _: None,
    )
    assert sink.write([call(number) for number in range(6)]) == []
    assert store.calls.totals().total == 5
    store.close()
