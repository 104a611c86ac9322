"""When two answers to the same call count as the same."""

from __future__ import annotations

from typing import Any

import pytest

from domain.comparators import Comparator, agree

THE_SAME: list[tuple[Comparator, Any, Any]] = [
    (Comparator.EXACT, {"a": 1}, {"a": 1.0}),
    (Comparator.EXACT, {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
    (Comparator.NUMERIC, {"a": 0.1 + 0.2}, {"a": 0.3}),
    (Comparator.NUMERIC, {"a": 10**400}, {"a": 10**400}),
    (Comparator.UNORDERED, {"a": [3, 1, 2]}, {"a": [1, 2, 3]}),
    (Comparator.UNORDERED, {"a": [{"x": [1, 2]}, {"y": 0.1 + 0.2}]}, {"a": [{"y": 0.3}, {"x": [2, 1]}]}),
    (Comparator.SHAPE, {"a": 1, "b": ["x", "y"]}, {"a": 2.5, "b": ["z"]}),
    (Comparator.IGNORE, {"a": 1}, {"b": "x"}),
]
DIFFERENT: list[tuple[Comparator, Any, Any]] = [
    (Comparator.EXACT, {"a": True}, {"a": 1}),
    (Comparator.EXACT, {"a": 0.1 + 0.2}, {"a": 0.3}),
    (Comparator.EXACT, {"a": [1, 2]}, {"a": [2, 1]}),
    (Comparator.EXACT, {"a": 1}, {"a": 1, "b": 2}),
    (Comparator.NUMERIC, {"a": 1.0}, {"a": 1.001}),
    (Comparator.NUMERIC, {"a": "1"}, {"a": 1}),
    (Comparator.UNORDERED, {"a": [1, 1, 2]}, {"a": [1, 2, 2]}),
    (Comparator.UNORDERED, {"a": [1]}, {"a": [1, 1]}),
    (Comparator.SHAPE, {"a": 1}, {"a": "1"}),
    (Comparator.SHAPE, {"a": [1, "x"]}, {"a": [1]}),
    (Comparator.SHAPE, {"a": 1}, {"a": 1, "b": 1}),
]


@pytest.mark.parametrize(("comparator", "one", "other"), THE_SAME)
def test_these_answers_are_the_same(comparator: Comparator, one: Any, other: Any) -> None:
    assert agree(comparator, one, other)
    assert agree(comparator, other, one)


@pytest.mark.parametrize(("comparator", "one", "other"), DIFFERENT)
def test_these_answers_are_different(comparator: Comparator, one: Any, other: Any) -> None:
    assert not agree(comparator, one, other)
    assert not agree(comparator, other, one)


def test_a_tolerance_is_what_the_method_says() -> None:
    assert agree(Comparator.NUMERIC, {"a": 100}, {"a": 101}, tolerance=0.01)
    assert not agree(Comparator.NUMERIC, {"a": 100}, {"a": 102}, tolerance=0.01)


def test_volatile_parts_are_not_compared() -> None:
    before: dict[str, Any] = {"at": 1, "rows": [{"id": 1, "seen": 5}, {"id": 2, "seen": 6}], "tags": [1]}
    after: dict[str, Any] = {"at": 2, "rows": [{"id": 1, "seen": 7}, {"id": 2}], "tags": [2, 3]}
    assert agree(Comparator.EXACT, before, after, volatile=("at", "rows.*.seen", "tags.*"))
    assert not agree(Comparator.EXACT, before, after, volatile=("at", "rows.*.seen"))
    assert not agree(Comparator.EXACT, before, after, volatile=("at", "seen", "tags"))
