"""Spec 3.2, schema facts - decides what is certain of every value that fits some parts of a schema.

Rules:
- A fact holds for all values of an alternative; where nothing is certain, the widest answer is given.
- An integer is a number without a fraction: 1.0 is one.
- Bounds are told as numbers a value may reach; for integers an open bound is moved to the next integer.

Not here: comparing two schemas (`engines/subschemas.py`), values that fit (`engines/witnesses.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final, NamedTuple

from pydantic import JsonValue

from engines.schemas import NEVER, Document, Part, Parts, Schema

TYPES: Final = frozenset({"null", "boolean", "object", "array", "number", "string"})
MOST_VALUES: Final = 64
"""How many values an alternative may have to be looked at one by one."""


class Bound(NamedTuple):
    """One end of a range; `open` when the value itself is outside."""

    value: Fraction
    open: bool


def types_of(parts: Parts) -> frozenset[str]:
    """Return the JSON types that values may have, `integer` counted as `number`."""
    left = TYPES
    for part in parts:
        if part == NEVER:
            return frozenset()
        if "type" in part:
            left &= {"number" if name == "integer" else name for name in named_types(part)}
    return left


def named_types(part: Part) -> tuple[str, ...]:
    """Return what `type` names, always as several."""
    named = part["type"]
    return (named,) if isinstance(named, str) else tuple(named)


def only_integers(parts: Parts) -> bool:
    """Say whether no number with a fraction fits."""
    for part in parts:
        if "type" in part and "integer" in named_types(part) and "number" not in named_types(part):
            return True
        if "multipleOf" in part and exact(part["multipleOf"]).denominator == 1:
            return True
    return False


def finite_values(document: Document, parts: Parts) -> list[JsonValue] | None:
    """Return all values, when there are few; None when there are many, or nobody can tell."""
    listed = next((values for part in parts if (values := _listed(part)) is not None), None)
    if listed is None:
        listed = _counted(parts)
    if listed is None:
        return None
    return [value for value in listed if not any(document.refuses(value, part) for part in parts)]


def _listed(part: Part) -> list[JsonValue] | None:
    if "const" in part:
        return [part["const"]]
    return list(part["enum"]) if "enum" in part else None


def _counted(parts: Parts) -> list[JsonValue] | None:
    found: list[JsonValue] = []
    for name in sorted(types_of(parts)):
        if name == "null":
            found.append(None)
        elif name == "boolean":
            found += [False, True]
        elif name == "number" and only_integers(parts):
            low, high = lower_bound(parts), upper_bound(parts)
            if low is None or high is None or high.value - low.value >= MOST_VALUES:
                return None
            found += list(range(int(low.value), int(high.value) + 1))
        else:
            return None
    return found


def lower_bound(parts: Parts) -> Bound | None:
    """Return the least number that fits, None without one."""
    bounds = [*_bounds(parts, "minimum", is_open=False), *_bounds(parts, "exclusiveMinimum", is_open=True)]
    highest = max(bounds, key=lambda bound: (bound.value, bound.open), default=None)
    if highest is None or not only_integers(parts):
        return highest
    number = math.ceil(highest.value)
    return Bound(Fraction(number + (highest.open and number == highest.value)), open=False)


def upper_bound(parts: Parts) -> Bound | None:
    """Return the greatest number that fits, None without one."""
    bounds = [*_bounds(parts, "maximum", is_open=False), *_bounds(parts, "exclusiveMaximum", is_open=True)]
    lowest = min(bounds, key=lambda bound: (bound.value, not bound.open), default=None)
    if lowest is None or not only_integers(parts):
        return lowest
    number = math.floor(lowest.value)
    return Bound(Fraction(number - (lowest.open and number == lowest.value)), open=False)


def _bounds(parts: Parts, keyword: str, *, is_open: bool) -> Iterator[Bound]:
    return (Bound(exact(part[keyword]), is_open) for part in parts if keyword in part)


def exact(number: float) -> Fraction:
    """Return a number of a schema as it is written there: 0.1 is a tenth."""
    return Fraction(str(number))


def at_least(parts: Parts, keyword: str) -> int:
    """Return what a keyword such as `minLength` demands at least, 0 when nothing does."""
    return max((part[keyword] for part in parts if keyword in part), default=0)


def at_most(parts: Parts, keyword: str) -> float:
    """Return what a keyword such as `maxLength` allows at most, infinity when nothing limits it."""
    return min((part[keyword] for part in parts if keyword in part), default=math.inf)


def required(parts: Parts) -> frozenset[str]:
    """Return the properties that every object has."""
    return frozenset(name for part in parts for name in part.get("required", ()))


def declared(parts: Parts) -> frozenset[str]:
    """Return the properties that are named."""
    return frozenset(name for part in parts for name in part.get("properties", {}))


def is_open(part: Part) -> bool:
    """Say whether a part lets properties be there that it does not name, whatever they are."""
    return part.get("additionalProperties", True) in (True, {}) and not part.get("patternProperties")


def property_schemas(parts: Parts, name: str) -> tuple[Schema, ...]:
    """Return what holds for the value of a property, all of it together."""
    return tuple(schema for part in parts for schema in _of_property(part, name))


def _of_property(part: Part, name: str) -> Iterator[Schema]:
    known = False
    if name in part.get("properties", {}):
        known = True
        yield part["properties"][name]
    for pattern, schema in part.get("patternProperties", {}).items():
        if matches(pattern, name):
            known = True
            yield schema
    if not known and "additionalProperties" in part:
        yield part["additionalProperties"]


def unnamed(parts: Parts, wanted: Part) -> Iterator[tuple[str, tuple[Schema, ...], Schema]]:
    """Yield, for properties that nobody names, a pattern of their names, what holds for them, and what is wanted.

    Nobody can tell which patterns meet in a name, so each pattern of one side is held against each of the other,
    unless both sides have the same one.
    """
    theirs = {pattern: schema for part in parts for pattern, schema in part.get("patternProperties", {}).items()}
    others = tuple(part["additionalProperties"] for part in parts if "additionalProperties" in part)
    patterns: Mapping[str, Schema] = wanted.get("patternProperties", {})
    for pattern, schema in patterns.items():
        if pattern in theirs:
            yield pattern, (theirs[pattern],), schema
        else:
            yield pattern, others, schema
            yield from ((pattern, (given,), schema) for given in theirs.values())
    rest = wanted.get("additionalProperties", True)
    yield "", others, rest
    yield from ((pattern, (given,), rest) for pattern, given in theirs.items() if pattern not in patterns)


def item_schemas(parts: Parts, index: int) -> tuple[Schema, ...]:
    """Return what holds for the item at an index, all of it together."""
    return tuple(schema for part in parts for schema in _of_item(part, index))


def _of_item(part: Part, index: int) -> Iterator[Schema]:
    first: list[Any] = part.get("prefixItems", [])
    if index < len(first):
        yield first[index]
    elif "items" in part:
        yield part["items"]


def positions(parts: Parts) -> int:
    """Return how many items have a schema of their own place."""
    return max((len(part.get("prefixItems", ())) for part in parts), default=0)


def matches(pattern: str, text: str) -> bool:
    """Say whether a pattern of a schema is found in a text; one that Python cannot read is not."""
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def has_reference(node: object) -> bool:
    """Say whether a schema's meaning depends on its document."""
    if isinstance(node, Mapping):
        return "$ref" in node or "$dynamicRef" in node or any(has_reference(child) for child in node.values())
    return isinstance(node, list) and any(has_reference(child) for child in node)
