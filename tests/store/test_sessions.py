from __future__ import annotations

import threading

import pytest

from domain.routing import RoutingTable
from store.database import Store
from store.sessions import lock_number
from tests.store.factories import NOON, cycle, package, route


def test_what_is_written_in_one_transaction_is_done_together(store: Store) -> None:
    with store.transaction():
        store.cycles.put(cycle(1))
        store.packages.put(package(), NOON)
        assert store.cycles.find("cycle-1") is not None, "a transaction sees its own writing"
    assert store.cycles.find("cycle-1") is not None
    assert store.packages.list() == [package()]


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError, match="half-way"), store.transaction():
        store.cycles.put(cycle(1))
        store.routes.save(RoutingTable().with_route(route()), NOON)
        store.audit.append("k", NOON, "me", "cycle.start", "cycle-1", {})
        raise RuntimeError("half-way")
    assert store.cycles.list() == []
    assert store.routes.load().generation == 0
    assert store.audit.entries() == []
    assert store.audit.verify().ok


def test_others_see_nothing_of_a_transaction_before_its_end(store: Store) -> None:
    seen: list[int] = []
    with store.transaction():
        store.cycles.put(cycle(1))
        reader = threading.Thread(target=lambda: seen.append(len(store.cycles.list())))
        reader.start()
        reader.join()
    assert seen == [0]
    assert len(store.cycles.list()) == 1


def test_writers_in_many_threads_wait_for_their_turn(store: Store) -> None:
    failures: list[BaseException] = []

    def write(start: int) -> None:
        try:
            for number in range(start, start + 20):
                store.cycles.put(cycle(number))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(1_000 * index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.cycles.list()) == 160


def test_names_of_locks_are_signed_64_bit_numbers_that_differ() -> None:
    numbers = {lock_number(f"name-{index}") for index in range(1_000)}
    assert len(numbers) == 1_000
    assert all(-(2**63) <= number < 2**63 for number in numbers)
