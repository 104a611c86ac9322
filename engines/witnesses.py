"""Spec 3.2, examples of breaches - decides with which values a difference between two schemas is shown.

Rules:
- Values are made at the edges of both schemas: lengths, bounds and lists just inside and just outside.
- Every value that is handed out fits its alternative; whether it shows anything is for the caller to see.
- The search is bounded and always goes the same way: the same schemas give the same values.

Not here: where to look (`engines/subschemas.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import JsonValue

from engines import schema_facts as facts
from engines.schemas import Document, Parts, Schema, TooManyAlternatives

MOST_TRIES: Final = 400
DEPTH: Final = 6
LONGEST: Final = 2_000
STRINGS: Final = (
    *("", "a", "b", "A", "0", "1", "ab", "abc", "ABC", "Abc", "123", "a1", "a b", "a-b", "a_b", "a.b", "é", " ", "!"),
    *("-1", "1.5", "x@example.org", "https://example.org/", "2020-01-31", "2020-01-31T12:00:00Z", "12:00:00", "true"),
    *("en", "EUR", "km", "other", "00000000-0000-0000-0000-000000000000", "127.0.0.1", "/a", "^", "[", "\n"),
)
_LENGTHS: Final = ("minLength", "maxLength")
_COUNTS: Final = ("minItems", "maxItems", "minProperties", "maxProperties")
_NUMBERS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")


class Witnesses:
    """Makes values of one document's schemas.

    Args:
        document: the values are to fit it.
        hints: schemas and values in which telling strings and numbers stand: both documents, golden calls.
    """

    def __init__(self, document: Document, hints: Iterable[object]) -> None:
        self._document = document
        self._words: dict[str, None] = {}
        self._edges: dict[float, None] = {}
        self._sizes: dict[int, None] = {}
        for hint in hints:
            self._learn(hint)
        self._values = [*self._words, *STRINGS]

    def of(self, *schemas: Schema, depth: int = 0) -> Iterator[JsonValue]:
        """Yield values that fit all of some schemas."""
        try:
            alternatives = self._document.alternatives(*schemas)
        except TooManyAlternatives:
            return
        for parts in alternatives:
            yield from self.of_parts(parts, depth)

    def of_parts(self, parts: Parts, depth: int = 0) -> Iterator[JsonValue]:
        """Yield values that fit one alternative."""
        listed = facts.finite_values(self._document, parts)
        if listed is not None:
            yield from listed
            return
        for value in itertools.islice(self._tries(parts, depth), MOST_TRIES):
            if all(self._document.admits(value, part) for part in parts):
                yield value

    def name(self, pattern: str, taken: frozenset[str]) -> str:
        """Return a property name that matches a pattern and is not taken, as far as one is at hand."""
        names = itertools.chain(map("extra_{}".format, range(len(taken) + 1)), self._values)
        free = [name for name in names if name not in taken]
        return next((name for name in free if facts.matches(pattern, name)), free[0])

    def objects(self, parts: Parts, depth: int = 0) -> Iterator[dict[str, JsonValue]]:
        """Yield objects with what an alternative requires, and with more."""
        least: dict[str, JsonValue] = {}
        for name in sorted(facts.required(parts)):
            value = next(self._property(parts, name, depth), _NONE)
            if value is _NONE:
                return
            least[name] = value
        yield least
        everything = dict(least)
        for name in sorted(facts.declared(parts) - least.keys()):
            value = next(self._property(parts, name, depth), _NONE)
            if value is not _NONE:
                yield {**least, name: value}
                everything[name] = value
        yield everything
        for extra in self._extras(parts, depth):
            yield {**least, **extra}
        for size in self._sizes:
            yield {**least, **{f"extra_{number}": 0 for number in range(max(0, size - len(least)))}}

    def lists(self, parts: Parts, depth: int = 0) -> Iterator[list[JsonValue]]:
        """Yield lists of several lengths."""
        least = facts.at_least(parts, "minItems")
        for size in dict.fromkeys((least, least + 1, *self._sizes, 2)):
            items = [next(self._item(parts, index, depth), _NONE) for index in range(size)]
            if _NONE not in items:
                yield items
        several = list(itertools.islice(self._item(parts, facts.positions(parts), depth), 5))
        first = [next(self._item(parts, index, depth), _NONE) for index in range(facts.positions(parts))]
        if _NONE not in first:
            yield from ([*first, *several[:count]] for count in range(1, len(several) + 1))
            yield from ([*first, item] for item in several)

    def _tries(self, parts: Parts, depth: int) -> Iterator[JsonValue]:
        kinds = facts.types_of(parts)
        if "string" in kinds:
            yield from self._strings(parts)
        if "number" in kinds:
            yield from self._numbers()
        if "boolean" in kinds:
            yield from (True, False)
        if "null" in kinds:
            yield None
        if depth < DEPTH and "array" in kinds:
            yield from self.lists(parts, depth + 1)
        if depth < DEPTH and "object" in kinds:
            yield from self.objects(parts, depth + 1)

    def _strings(self, parts: Parts) -> Iterator[str]:
        yield from self._values
        least = facts.at_least(parts, "minLength")
        for size in dict.fromkeys((least, least + 1, *self._sizes)):
            for letter in ("a", "A", "1"):
                yield letter * size

    def _numbers(self) -> Iterator[float]:
        yield from (0, 1, -1, 0.5, 2, 1.5, -0.5, 10, 1_000_000, -1_000_000)
        for edge in self._edges:
            yield from (edge, edge + 1, edge - 1, edge + 0.5, edge - 0.5, 2 * edge, 3 * edge)

    def _property(self, parts: Parts, name: str, depth: int) -> Iterator[Any]:
        return self.of(*facts.property_schemas(parts, name), depth=depth + 1)

    def _item(self, parts: Parts, index: int, depth: int) -> Iterator[Any]:
        return self.of(*facts.item_schemas(parts, index), depth=depth + 1)

    def _extras(self, parts: Parts, depth: int) -> Iterator[dict[str, JsonValue]]:
        for name in ("extra", "x", "Extra-1", "0"):
            for value in itertools.islice(self._property(parts, name, depth), 12):
                yield {name: value}

    def _learn(self, node: object, keyword: str = "") -> None:
        """Remember the strings, numbers and sizes of a schema or a value."""
        if isinstance(node, Mapping):
            for key, child in node.items():
                self._learn(child, str(key))
        elif isinstance(node, list | tuple):
            for child in node:
                self._learn(child, keyword)
        elif isinstance(node, str) and keyword not in {"description", "title", "$comment", "$ref", "pattern", "type"}:
            self._words[node] = None
        elif isinstance(node, int | float) and not isinstance(node, bool):
            if keyword in (*_LENGTHS, *_COUNTS) and node < LONGEST:
                self._sizes.update(dict.fromkeys(range(max(0, int(node) - 1), int(node) + 2)))
            else:
                self._edges[node] = None


_NONE: Final[Any] = object()
"""Stands for a value that could not be made."""
