"""Spec 3.2, JSON Schemas - decides how a schema is taken apart into alternatives of plain parts.

Rules:
- An alternative is a conjunction of plain parts: no `$ref`, `allOf`, `anyOf` or `oneOf` is left at its top. A value is
  valid under the schema if, and only if, it is valid under one of the alternatives.
- A branch of `oneOf` carries that the other branches do not hold, as parts with `not`.
- References lead inside the document only; a circle of references that never reaches a value is an empty schema.
- Draft 2020-12 is what is read; what has no effect on validity there is an annotation.

Not here: comparing two schemas (`engines/subschemas.py`).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from jsonschema import Draft202012Validator
from pydantic import JsonValue
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

Schema = Mapping[str, Any] | bool
Part = Mapping[str, Any]
"""A schema object without `$ref`, `allOf`, `anyOf` and `oneOf`."""
Parts = tuple[Part, ...]
"""Parts that hold together."""

MOST_ALTERNATIVES: Final = 64
DEPTH_LIMIT: Final = 40
NEVER: Final[Part] = {"not": {}}

ANNOTATIONS: Final = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "$schema"}
    | {"$defs", "definitions", "$id", "$anchor"}
)
_COMPOSED: Final = ("$ref", "allOf", "anyOf", "oneOf")
_NOTHING_OUTSIDE: Final[Registry[Any]] = Registry()


class TooManyAlternatives(Exception):
    """A schema falls apart into more alternatives than are worth looking at."""


class Document:
    """One schema document: what its references mean, and which values it admits."""

    def __init__(self, root: Schema) -> None:
        self.root = root

    @cached_property
    def _resolver(self) -> Any:
        return _NOTHING_OUTSIDE.resolver_with_root(DRAFT202012.create_resource(self.root))

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return Draft202012Validator(self.root, registry=_NOTHING_OUTSIDE)

    def admits(self, value: JsonValue, schema: Schema | None = None) -> bool:
        """Say whether it is certain that a value fits the document, or one of its schemas."""
        return self._judged(value, schema) is True

    def refuses(self, value: JsonValue, schema: Schema | None = None) -> bool:
        """Say whether it is certain that a value does not fit the document, or one of its schemas."""
        return self._judged(value, schema) is False

    def _judged(self, value: JsonValue, schema: Schema | None) -> bool | None:
        try:
            validator = self._validator if schema is None else self._validator.evolve(schema=schema)
            return bool(validator.is_valid(value))
        except Exception:  # a schema from outside makes the validator fail in more ways than can be listed
            return None

    def target(self, reference: str) -> Schema:
        """Return what a reference leads to; nothing can be said of one that leads nowhere, so it admits everything."""
        try:
            found: Schema = self._resolver.lookup(reference).contents
        except (Unresolvable, ValueError):
            return {"$ref": reference}
        return found

    def alternatives(self, *schemas: Schema) -> list[Parts]:
        """Return the alternatives of the conjunction of some schemas.

        Raises:
            TooManyAlternatives: there are more than `MOST_ALTERNATIVES`.
        """
        found: list[Parts] = [()]
        for schema in schemas:
            more = list(self._alternatives(schema, 0))
            found = [_joined(left, right) for left, right in itertools.product(found, more)]
            if len(found) > MOST_ALTERNATIVES:
                raise TooManyAlternatives
        return found

    def _alternatives(self, schema: Schema, depth: int) -> Iterator[Parts]:
        if schema is True:
            yield ()
        elif schema is False or depth > DEPTH_LIMIT:
            yield (NEVER,) if schema is False else ({"$ref": "#"},)
        elif isinstance(schema, Mapping):
            groups = [list(group) for group in self._groups(schema, depth)]
            for chosen in itertools.islice(itertools.product(*groups), MOST_ALTERNATIVES + 1):
                yield _joined(*chosen)

    def _groups(self, schema: Part, depth: int) -> Iterator[Iterator[Parts]]:
        """Yield, for each thing that must hold, the alternatives in which it does."""
        plain = {key: value for key, value in schema.items() if key not in _COMPOSED and key not in ANNOTATIONS}
        yield iter([(plain,) if plain else ()])
        if "$ref" in schema:
            target = self.target(schema["$ref"])
            unknown = isinstance(target, Mapping) and target.get("$ref") == schema["$ref"]
            yield iter([({"$ref": schema["$ref"]},)]) if unknown else self._alternatives(target, depth + 1)
        for branch in schema.get("allOf", ()):
            yield self._alternatives(branch, depth + 1)
        if "anyOf" in schema:
            yield itertools.chain.from_iterable(self._alternatives(one, depth + 1) for one in schema["anyOf"])
        if "oneOf" in schema:
            yield self._exactly_one(schema["oneOf"], depth + 1)

    def _exactly_one(self, branches: list[Schema], depth: int) -> Iterator[Parts]:
        for place, branch in enumerate(branches):
            others: Parts = tuple({"not": other} for other in branches[:place] + branches[place + 1 :])
            for parts in self._alternatives(branch, depth):
                yield _joined(parts, others)


def is_among(schema: Schema, others: Iterable[Schema]) -> bool:
    """Say whether a schema is one of some, word for word; Python takes true and 1 for equal, JSON does not."""
    return written(schema) in map(written, others)


def written(schema: object) -> str:
    """Return a schema or a value as one text."""
    return json.dumps(schema, sort_keys=True, default=str)


def _joined(*conjunctions: Parts) -> Parts:
    """Return parts that hold together, each once."""
    return tuple({written(part): part for part in itertools.chain(*conjunctions)}.values())
