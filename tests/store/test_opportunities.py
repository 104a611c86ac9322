from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.errors import IllegalTransition, NotFound
from domain.opportunities import OpportunityStatus
from store.database import Store
from tests.store.factories import at, opportunity

OPEN, SELECTED, REJECTED = OpportunityStatus.OPEN, OpportunityStatus.SELECTED, OpportunityStatus.REJECTED
DECIDED = [status for status in OpportunityStatus if status not in {OPEN, OpportunityStatus.NEEDS_PERSON}]


def test_an_idea_found_for_the_first_time_is_kept(store: Store) -> None:
    assert store.opportunities.put_found(opportunity()) == opportunity()
    assert store.opportunities.list(status="open", capability="text") == [opportunity()]


def test_an_open_idea_found_again_gets_fresh_estimates_and_keeps_its_first_day(store: Store) -> None:
    store.opportunities.put_found(opportunity())
    kept = store.opportunities.put_found(opportunity(estimated_value=0.9, score=0.7, found_at=at(3_600)))
    assert kept == opportunity(estimated_value=0.9, score=0.7)
    assert store.opportunities.get("faster-text") == kept


@pytest.mark.parametrize("status", DECIDED)
def test_a_decided_idea_is_never_brought_back_by_finding_it_again(store: Store, status: OpportunityStatus) -> None:
    decided = opportunity(status=status, reason="somebody said so")
    store.opportunities.put(decided)
    assert store.opportunities.put_found(opportunity(estimated_value=1.0)) == decided
    assert store.opportunities.get("faster-text") == decided


def test_an_idea_that_needed_a_person_opens_when_a_remedy_is_found(store: Store) -> None:
    store.opportunities.put(opportunity(status=OpportunityStatus.NEEDS_PERSON, remedy=None))
    kept = store.opportunities.put_found(opportunity())
    assert kept.status is OPEN
    assert store.opportunities.list(capability="text") == [kept]


def test_an_open_idea_does_not_fall_back_to_needing_a_person(store: Store) -> None:
    store.opportunities.put(opportunity())
    assert store.opportunities.put_found(opportunity(status=OpportunityStatus.NEEDS_PERSON)).status is OPEN


def test_a_move_from_an_expected_state_is_made_with_its_reason(store: Store) -> None:
    store.opportunities.put(opportunity())
    assert store.opportunities.move("faster-text", frozenset({OPEN}), REJECTED, "not worth it")
    assert store.opportunities.get("faster-text") == opportunity(status=REJECTED, reason="not worth it")
    assert store.opportunities.list(status="open") == []


def test_a_move_from_another_state_changes_nothing(store: Store) -> None:
    store.opportunities.put(opportunity(status=SELECTED))
    assert not store.opportunities.move("faster-text", frozenset({OPEN}), REJECTED, "late")
    assert store.opportunities.get("faster-text") == opportunity(status=SELECTED)


def test_a_move_that_the_table_does_not_have_is_refused(store: Store) -> None:
    store.opportunities.put(opportunity())
    with pytest.raises(IllegalTransition, match="Opportunity faster-text cannot go from open to upgraded"):
        store.opportunities.move("faster-text", frozenset({OPEN}), OpportunityStatus.UPGRADED, "too fast")
    assert store.opportunities.get("faster-text").status is OPEN


def test_an_unknown_idea_cannot_be_moved(store: Store) -> None:
    with pytest.raises(NotFound, match="no 'nothing' among the opportunities"):
        store.opportunities.move("nothing", frozenset({OPEN}), SELECTED, "")


def test_of_many_who_select_the_same_idea_at_once_one_wins(store: Store) -> None:
    store.opportunities.put(opportunity())
    with ThreadPoolExecutor(8) as pool:
        won = list(
            pool.map(
                lambda name: store.opportunities.move("faster-text", frozenset({OPEN}), SELECTED, f"by {name}"),
                range(8),
            )
        )
    assert won.count(True) == 1
    assert store.opportunities.get("faster-text").reason == f"by {won.index(True)}"


def test_of_many_who_find_the_same_new_idea_at_once_all_keep_one(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda _: store.opportunities.put_found(opportunity()), range(8)))
    assert kept == [opportunity()] * 8
    assert store.opportunities.list() == [opportunity()]
