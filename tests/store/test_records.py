from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from domain.cycles import CycleRecord, CycleStatus, Phase, PhaseRecord, PhaseStatus, Trigger
from domain.errors import NotFound, StoreUnusable
from domain.opportunities import OpportunitySource, OpportunityStatus, UpgradeOpportunity
from store.database import Store
from tests.store.factories import at, cycle, plan, upgrade

MOMENTS = st.datetimes(timezones=st.just(UTC))
SHARES = st.floats(0, 1)
TEXTS = st.text(st.characters(codec="utf-8"))
PHASES = st.builds(
    PhaseRecord,
    name=st.sampled_from(Phase),
    status=st.sampled_from(PhaseStatus),
    started_at=st.none() | MOMENTS,
    ended_at=st.none() | MOMENTS,
    summary=TEXTS,
)
CYCLES = st.builds(
    CycleRecord,
    id=st.just("cycle-1"),
    trigger=st.sampled_from(Trigger),
    status=st.sampled_from(CycleStatus),
    phases=st.lists(PHASES, max_size=5).map(tuple),
    patterns=st.integers(0, 2**53),
    upgrade_ids=st.lists(TEXTS, max_size=3).map(tuple),
    started_at=MOMENTS,
    error=TEXTS,
)
OPPORTUNITIES = st.builds(
    UpgradeOpportunity,
    id=st.just("idea"),
    source=st.sampled_from(OpportunitySource),
    description=TEXTS,
    estimated_value=SHARES,
    estimated_complexity=SHARES,
    estimated_risk=SHARES,
    evidence=st.lists(TEXTS, max_size=3).map(tuple),
    score=SHARES,
    status=st.sampled_from(OpportunityStatus),
    remedy=st.none(),
    found_at=st.none() | MOMENTS,
)
ON_ONE_STORE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def test_a_record_is_found_by_its_id(store: Store) -> None:
    store.cycles.put(cycle(1))
    assert store.cycles.get("cycle-1") == cycle(1)
    assert store.cycles.find("cycle-1") == cycle(1)


def test_an_unknown_id_is_none_to_find_and_an_error_to_get(store: Store) -> None:
    assert store.cycles.find("cycle-9") is None
    with pytest.raises(NotFound, match="no 'cycle-9' among the cycles") as info:
        store.cycles.get("cycle-9")
    assert "List the cycles" in info.value.hint


def test_putting_a_known_id_replaces_the_record(store: Store) -> None:
    store.cycles.put(cycle(1))
    changed = cycle(1, status=CycleStatus.SUCCESS, ended_at=at(60))
    store.cycles.put(changed)
    assert store.cycles.list() == [changed]


def test_listings_are_newest_first_and_a_change_does_not_make_a_record_newer(store: Store) -> None:
    for number in (1, 2, 3):
        store.cycles.put(cycle(number))
    store.cycles.put(cycle(1, status=CycleStatus.FAILED))
    assert [record.id for record in store.cycles.list()] == ["cycle-3", "cycle-2", "cycle-1"]
    assert [record.id for record in store.cycles.list(limit=2)] == ["cycle-3", "cycle-2"]
    assert len(store.cycles.list(limit=None)) == 3


def test_listings_can_be_narrowed_to_a_status_and_a_capability(store: Store) -> None:
    store.upgrades.put(upgrade(1))
    store.upgrades.put(upgrade(2, status="deployed"))
    store.upgrades.put(upgrade(3, capability="maths"))
    assert [record.id for record in store.upgrades.list(status="implementing")] == ["upgrade-3", "upgrade-1"]
    assert [record.id for record in store.upgrades.list(capability="text")] == ["upgrade-2", "upgrade-1"]
    assert [record.id for record in store.upgrades.list(status="deployed", capability="text")] == ["upgrade-2"]


def test_the_status_that_is_searched_follows_the_record(store: Store) -> None:
    store.cycles.put(cycle(1))
    store.cycles.put(cycle(1, status=CycleStatus.FAILED))
    assert store.cycles.list(status="running") == []
    assert [record.id for record in store.cycles.list(status="failed")] == ["cycle-1"]


def test_a_deleted_record_is_gone_and_deleting_again_says_so(store: Store) -> None:
    store.cycles.put(cycle(1))
    assert store.cycles.delete("cycle-1")
    assert not store.cycles.delete("cycle-1")
    assert store.cycles.find("cycle-1") is None


def test_durations_and_versions_survive(store: Store) -> None:
    store.plans.put(plan())
    kept = store.plans.get("plan-1")
    assert kept == plan()
    assert kept.rollout_config.stages[0].duration == timedelta(hours=1)
    assert kept.capability == "text"


def test_a_record_of_another_version_is_told_by_id_and_not_skipped(sqlite_store: Store) -> None:
    sqlite_store.cycles.put(cycle(1))
    with sqlite_store._sessions.writing() as session:
        session.connection().execute(text("""UPDATE cycles SET body = '{"id": "cycle-1", "colour": "red"}'"""))
    with pytest.raises(StoreUnusable, match="CycleRecord 'cycle-1' cannot be read") as info:
        sqlite_store.cycles.list()
    assert "another version" in info.value.hint


@ON_ONE_STORE
@given(record=CYCLES)
def test_every_cycle_comes_back_as_it_was_put(store: Store, record: CycleRecord) -> None:
    store.cycles.put(record)
    assert store.cycles.get(record.id) == record


@ON_ONE_STORE
@given(record=OPPORTUNITIES)
def test_every_opportunity_comes_back_as_it_was_put(store: Store, record: UpgradeOpportunity) -> None:
    store.opportunities.put(record)
    assert store.opportunities.get(record.id) == record


def test_fields_are_read_without_the_documents(store: Store) -> None:
    store.upgrades.put(upgrade(1, stages=(), steps=("snapshot", "rollout")))
    store.upgrades.put(upgrade(2, reason='it\'s "slow"'))

    rows = store.upgrades.extract("id", "confidence", "steps", "rollback.seconds", "reason")

    assert rows == [
        ("upgrade-2", 0.8, [], None, 'it\'s "slow"'),
        ("upgrade-1", 0.8, ["snapshot", "rollout"], None, ""),
    ]
