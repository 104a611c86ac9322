"""Counting the ledger: slice by slice in one statement, each attempt once, on both databases."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.calls import CallSlice, ErrorKind
from store.database import Store
from tests.store.factories import NOON, at, call

OLD, NEW = "text_tools@1.0.0", "text_tools@1.1.0"
HOURS = [at(3_600 * hour) for hour in range(4)]


def counted(store: Store, *versions: str, slow: tuple[float, ...] = ()) -> list[tuple[int, str, int, int]]:
    rows = store.calls.sliced("text", versions or (OLD, NEW), HOURS, slow)
    return [(row.index, row.version, row.n, row.bad) for row in rows]


def test_every_slice_counts_its_own_calls_of_every_version(store: Store) -> None:
    store.calls.append(
        [
            call(10),
            call(20, error=ErrorKind.TOOL_ERROR),
            call(30, version=NEW),
            call(7_300, version=NEW, error=ErrorKind.TIMEOUT),
        ]
    )
    assert counted(store) == [(0, OLD, 2, 1), (0, NEW, 1, 0), (2, NEW, 1, 1)]
    assert counted(store, NEW) == [(0, NEW, 1, 0), (2, NEW, 1, 1)]


def test_a_slice_holds_its_first_moment_and_not_its_end(store: Store) -> None:
    store.calls.append([call(0), call(3_599.999999), call(3_600), call(3 * 3_600), call(-0.000001)])
    assert counted(store) == [(0, OLD, 2, 0), (1, OLD, 1, 0)]


def test_what_is_not_the_versions_fault_is_not_counted(store: Store) -> None:
    store.calls.append([call(1, error=ErrorKind.CANCELLED), call(2, error=ErrorKind.INVALID_ARGUMENTS), call(3)])
    assert counted(store) == [(0, OLD, 1, 0)]


def test_slow_calls_are_counted_for_every_limit_and_callers_once(store: Store) -> None:
    store.calls.append([call(number, duration_ms=100.0 * number, caller=f"{number % 2}") for number in range(1, 6)])
    (row,) = store.calls.sliced("text", [OLD], HOURS, (250, 400, 1_000))
    assert row == CallSlice(index=0, version=OLD, n=5, bad=0, slow=(3, 1, 0), callers=2, last_seen=at(5))


def test_other_capabilities_are_not_counted(store: Store) -> None:
    store.calls.append([call(1, capability="other")])
    assert counted(store) == []


def test_callers_are_told_once_and_only_so_many(store: Store) -> None:
    store.calls.append([call(number, caller=f"caller-{number % 3}") for number in range(9)])
    window = (NOON, NOON + timedelta(hours=1))
    assert set(store.calls.callers("text", *window, 10)) == {"caller-0", "caller-1", "caller-2"}
    assert len(store.calls.callers("text", *window, 2)) == 2
    assert store.calls.callers("other", *window, 10) == []


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0, 4 * 3_600), max_size=40), st.integers(1, 399))
def test_slices_of_any_length_count_each_call_once(store: Store, seconds: list[float], slices: int) -> None:
    capability = f"cap{store.calls.totals().total}_{slices}"
    store.calls.append([call(round(second, 3), capability=capability) for second in seconds])
    bounds = [NOON + timedelta(hours=5) * number / slices for number in range(slices + 1)]
    assert sum(row.n for row in store.calls.sliced(capability, [OLD], bounds)) == len(seconds)
