from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import StatementError

from domain.calls import CallSlice
from store.columns import clean, to_json
from store.database import Store
from tests.store.factories import NOON, call, package

TOKYO = timezone(timedelta(hours=9))


def counted(store: Store, *bounds: datetime) -> list[CallSlice]:
    return store.calls.sliced("text", ["text_tools@1.0.0"], bounds)


def test_moments_of_any_zone_compare_in_the_order_of_time(store: Store) -> None:
    early = datetime(2026, 3, 1, 20, 0, tzinfo=TOKYO)  # 11:00 UTC, though its clock shows the later hour
    late = datetime(2026, 3, 1, 11, 30, tzinfo=UTC)
    store.calls.append([call(started_at=early), call(started_at=late)])
    assert [row.n for row in counted(store, NOON - timedelta(hours=1), late)] == [1]
    (both,) = counted(store, early, NOON)
    assert (both.n, both.last_seen) == (2, late)
    assert both.last_seen.tzinfo is UTC


def test_microseconds_survive_and_order(store: Store) -> None:
    store.calls.append([call(started_at=NOON + timedelta(microseconds=1))])
    assert counted(store, NOON, NOON + timedelta(microseconds=1)) == []
    (wide,) = counted(store, NOON, NOON + timedelta(microseconds=2))
    assert (wide.n, wide.last_seen) == (1, NOON + timedelta(microseconds=1))


def test_a_moment_without_zone_is_refused(store: Store) -> None:
    with pytest.raises(StatementError, match="has no time zone"):
        store.packages.put(package(), datetime(2026, 3, 1))


def test_nul_is_replaced_because_one_of_the_engines_cannot_hold_it(store: Store) -> None:
    store.calls.append([call(error_message="bad\x00byte", caller="a\x00b")])
    assert store.calls.totals().total == 1
    assert clean("a\x00b") == "a\ufffdb"


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json({"x": float("nan")})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moment=st.datetimes(timezones=st.timezones()))
def test_every_moment_comes_back_as_the_same_instant(sqlite_store: Store, moment: datetime) -> None:
    try:
        instant = moment.astimezone(UTC)
    except OverflowError:
        return
    sqlite_store.slots.acquire("u", "c", 1, instant.astimezone(TOKYO) if 1 < instant.year < 9999 else instant)
    assert sqlite_store.slots.held()[0].acquired_at == instant
    sqlite_store.slots.release("u")
