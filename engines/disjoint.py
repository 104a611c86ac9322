"""Spec 3.2, alternatives of a schema - decides when it is certain that no value fits two schemas at once.

Rules:
- Certain are: different types, few values none of which fits, ranges of numbers that do not meet, and a property that
  one of them requires and that cannot fit the other.
- A branch of `oneOf` carries that its sisters do not hold, which is enough to tell it from them.

Not here: what follows from it (`engines/subschemas.py`).
"""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

from engines import schema_facts as facts
from engines.schemas import Document, Parts, Schema, TooManyAlternatives, is_among

DEPTH: Final = 3


class Disjoint:
    """Tells the schemas of two documents apart.

    Args:
        narrow: the document of the parts that are asked about.
        wide: the document of the schemas they are held against.
    """

    def __init__(self, narrow: Document, wide: Document) -> None:
        self._narrow = narrow
        self._wide = wide

    def certain(self, parts: Parts, schema: Schema, depth: int = DEPTH) -> bool:
        """Say whether it is certain that no value of `parts` fits `schema`."""
        same_meaning = self._narrow.root == self._wide.root or not facts.has_reference(schema)
        if same_meaning and is_among({"not": schema}, parts):
            return True
        values = facts.finite_values(self._narrow, parts)
        if values is not None:
            return all(self._wide.refuses(value, schema) for value in values)
        try:
            return all(self._apart(parts, others, depth) for others in self._wide.alternatives(schema))
        except TooManyAlternatives:
            return False

    def values_of(self, parts: Parts, name: str) -> list[JsonValue] | None:
        """Return the values that a property may have, None when they are many."""
        found: list[JsonValue] = []
        try:
            for alternative in self._narrow.alternatives(*facts.property_schemas(parts, name)):
                values = facts.finite_values(self._narrow, alternative)
                if values is None:
                    return None
                found += values
        except TooManyAlternatives:
            return None
        return found

    def _apart(self, parts: Parts, others: Parts, depth: int) -> bool:
        shared = facts.types_of(parts) & facts.types_of(others)
        values = facts.finite_values(self._wide, others)
        if values is not None:
            return all(any(self._narrow.refuses(value, part) for part in parts) for value in values)
        if shared == {"number"}:
            return _beneath(parts, others) or _beneath(others, parts)
        if shared == {"object"} and depth:
            names = sorted(facts.required(parts) | facts.required(others))
            return any(self._property_apart(parts, others, name, depth) for name in names)
        return not shared

    def _property_apart(self, parts: Parts, others: Parts, name: str, depth: int) -> bool:
        """Say whether one side requires a property that the other side forbids, or both do and no value fits both."""
        given, wanted = facts.property_schemas(parts, name), facts.property_schemas(others, name)
        if name in facts.required(parts) and False in wanted:
            return True
        if name in facts.required(others) and False in given:
            return True
        if name not in facts.required(parts) & facts.required(others):
            return False
        try:
            alternatives = self._narrow.alternatives(*given)
        except TooManyAlternatives:
            return False
        return all(any(self.certain(one, schema, depth - 1) for schema in wanted) for one in alternatives)


def _beneath(one: Parts, other: Parts) -> bool:
    high, low = facts.upper_bound(one), facts.lower_bound(other)
    if high is None or low is None:
        return False
    return high.value < low.value or (high.value == low.value and (high.open or low.open))
