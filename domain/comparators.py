"""Spec 3.2, comparators - decides when two versions' answers to the same call count as the same.

Rules:
- `exact`: equal as JSON; 1 and 1.0 are the same number, true and 1 are not the same value.
- `numeric`: as exact, but numbers may differ by a relative tolerance.
- `unordered`: as numeric, and the order of a list does not count.
- `shape`: the same members with values of the same types; a list's items have one shape each.
- `ignore`: whatever they are.
- Volatile parts are taken out of both before they are compared.

Not here: who asks twice (`activities/replay.py`, `plugins/core/loader.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field, JsonValue

from domain.base import JsonObject


class Comparator(StrEnum):
    """How two versions' answers to the same call are compared."""

    EXACT = "exact"
    NUMERIC = "numeric"
    UNORDERED = "unordered"
    SHAPE = "shape"
    IGNORE = "ignore"


ResultPath = Annotated[str, Field(pattern=r"^[^.\s]+(\.[^.\s]+)*$")]
"""Where a part of a result lies: member names joined by dots, `*` for every item of a list or every member."""


def agree(
    comparator: Comparator,
    before: JsonObject,
    after: JsonObject,
    *,
    tolerance: float = 1e-9,
    volatile: tuple[str, ...] = (),
) -> bool:
    """Say whether two results count as the same.

    Args:
        comparator: the rule.
        before: one result.
        after: the other.
        tolerance: relative difference of two numbers that `numeric` and `unordered` take for none.
        volatile: paths of what is not compared.
    """
    paths = [path.split(".") for path in volatile]
    one, other = (_without(result, paths) for result in (before, after))
    return _RULES[comparator](one, other, tolerance)


def _without(value: JsonValue, paths: list[list[str]]) -> JsonValue:
    """Return a value without the parts at some paths."""
    if not paths:
        return value
    if isinstance(value, dict):
        gone = {path[0] for path in paths if len(path) == 1}
        kept = {key: item for key, item in value.items() if key not in gone and "*" not in gone}
        return {key: _without(item, _below(paths, key)) for key, item in kept.items()}
    if isinstance(value, list):
        return [] if ["*"] in paths else [_without(item, _below(paths, "*")) for item in value]
    return value


def _below(paths: list[list[str]], key: str) -> list[list[str]]:
    return [path[1:] for path in paths if len(path) > 1 and path[0] in {key, "*"}]


def _exact(one: JsonValue, other: JsonValue, tolerance: float) -> bool:
    del tolerance
    return _same(one, other, lambda _one, _other: False, _in_order)


def _numeric(one: JsonValue, other: JsonValue, tolerance: float) -> bool:
    return _same(one, other, _close(tolerance), _in_order)


def _unordered(one: JsonValue, other: JsonValue, tolerance: float) -> bool:
    return _same(one, other, _close(tolerance), _in_any_order)


def _shape(one: JsonValue, other: JsonValue, tolerance: float) -> bool:
    del tolerance
    return _form(one) == _form(other)


def _ignore(one: JsonValue, other: JsonValue, tolerance: float) -> bool:
    del one, other, tolerance
    return True


_RULES: Mapping[Comparator, Callable[[JsonValue, JsonValue, float], bool]] = {
    Comparator.EXACT: _exact,
    Comparator.NUMERIC: _numeric,
    Comparator.UNORDERED: _unordered,
    Comparator.SHAPE: _shape,
    Comparator.IGNORE: _ignore,
}

Same = Callable[[JsonValue, JsonValue], bool]
Lists = Callable[[list[JsonValue], list[JsonValue], Same], bool]


def _same(one: JsonValue, other: JsonValue, numbers: Callable[[float, float], bool], lists: Lists) -> bool:
    def same(a: JsonValue, b: JsonValue) -> bool:
        return _same(a, b, numbers, lists)

    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and lists(one, other, same)
    first, second = _number(one), _number(other)
    if first is not None and second is not None:
        return first == second or numbers(first, second)
    return type(one) is type(other) and one == other


def _in_order(one: list[JsonValue], other: list[JsonValue], same: Same) -> bool:
    return all(map(same, one, other))


def _in_any_order(one: list[JsonValue], other: list[JsonValue], same: Same) -> bool:
    """Pair equal items off; with a tolerance the pairing is greedy, which only ever says "different" too often."""
    left = list(other)
    for item in one:
        found = next((place for place, candidate in enumerate(left) if same(item, candidate)), None)
        if found is None:
            return False
        del left[found]
    return True


def _number(value: JsonValue) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _close(tolerance: float) -> Callable[[float, float], bool]:
    def close(one: float, other: float) -> bool:
        return abs(one - other) <= tolerance * max(abs(one), abs(other))

    return close


def _form(value: JsonValue) -> object:
    """Return what is left of a value when only its shape counts."""
    if isinstance(value, dict):
        return {key: _form(item) for key, item in value.items()}
    if isinstance(value, list):
        forms = [_form(item) for item in value]
        return [form for place, form in enumerate(forms) if form not in forms[:place]]
    return "number" if _number(value) is not None else type(value).__name__
