from __future__ import annotations

from store.database import Store
from tests.store.factories import decision


def test_the_answers_of_several_cycles_come_newest_first(store: Store) -> None:
    store.decisions.put("cycle-1", decision(approved=False))
    store.decisions.put("cycle-2", decision())
    assert store.decisions.of("faster-text") == [decision(), decision(approved=False)]


def test_a_cycle_answers_an_opportunity_once_and_its_last_word_stands(store: Store) -> None:
    store.decisions.put("cycle-1", decision(approved=False))
    store.decisions.put("cycle-1", decision())
    assert store.decisions.of("faster-text") == [decision()]
