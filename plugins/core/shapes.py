"""Spec 3.2, plain schemas - decides at a glance that a value fits its schema.

Rules:
- A glance says "it fits" or "I cannot tell", never "it does not": whatever it does not wave through is checked by the
  JSON Schema library, which finds the words, too.
- It knows the keywords that most tools use, and no more; a schema that uses any other gets no glance at all.
- It costs about a microsecond, the library's check twenty.

Not here: the check that counts (`contracts.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pydantic import JsonValue

Glance = Callable[[object], bool]
"""Whether a value certainly fits."""

_SAYS_NOTHING = frozenset({"$schema", "$comment", "title", "description", "default", "examples", "deprecated"})
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
"""Compared by identity: a bool is no int here, and a float that is whole is left to the library."""

_MOST_NESTING = 20


def glance_of(schema: JsonValue, nesting: int = 0) -> Glance | None:
    """Return the glance for a schema, None when it is not a plain one."""
    if schema is True:
        return _anything
    if not isinstance(schema, dict) or nesting > _MOST_NESTING:
        return None
    stated = {key: value for key, value in schema.items() if key not in _SAYS_NOTHING}
    if not stated:
        return _anything
    if stated.keys() == {"enum"}:
        return _one_of(stated["enum"])
    kind = stated.pop("type", None)
    if kind == "object":
        return _object(stated, nesting)
    if kind == "array":
        return _array(stated, nesting)
    return _scalar(kind, stated)


def _anything(_: object) -> bool:
    return True


def _one_of(values: JsonValue) -> Glance | None:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return None
    allowed = frozenset(str(value) for value in values)
    return lambda value: type(value) is str and value in allowed


def _object(stated: dict[str, JsonValue], nesting: int) -> Glance | None:
    if not stated.keys() <= {"properties", "required", "additionalProperties"}:
        return None
    properties, required = stated.get("properties", {}), stated.get("required", [])
    others = stated.get("additionalProperties", True)
    if not isinstance(properties, dict) or not isinstance(required, list) or not isinstance(others, bool):
        return None
    glances = {name: glance_of(inner, nesting + 1) for name, inner in properties.items()}
    known = {name: glance for name, glance in glances.items() if glance is not None}
    if len(known) != len(glances):
        return None
    needed = [str(name) for name in required]

    def fits(value: object) -> bool:
        if type(value) is not dict:
            return False
        for name in needed:
            if name not in value:
                return False
        for name, inner in value.items():
            glance = known.get(name)
            if not (others if glance is None else glance(inner)):
                return False
        return True

    return fits


def _array(stated: dict[str, JsonValue], nesting: int) -> Glance | None:
    item = glance_of(stated.pop("items", True), nesting + 1)
    least, most = _bounds(stated, "minItems", "maxItems")
    if item is None or stated:
        return None
    return lambda value: type(value) is list and least <= len(value) <= most and all(map(item, value))


def _scalar(kind: JsonValue, stated: dict[str, JsonValue]) -> Glance | None:
    types = _TYPES.get(kind) if isinstance(kind, str) else None
    if types is None:
        return None
    if kind == "string":
        shortest, longest = _bounds(stated, "minLength", "maxLength")
        if stated:
            return None
        return lambda value: type(value) is str and shortest <= len(value) <= longest
    if kind in {"integer", "number"}:
        least, most = _bounds(stated, "minimum", "maximum", least=float("-inf"))
        if stated:
            return None
        return lambda value: type(value) in types and least <= value <= most  # type: ignore[operator]  # a number
    return None if stated else lambda value: type(value) in types


def _bounds(stated: dict[str, JsonValue], lower: str, upper: str, least: float = 0.0) -> tuple[float, float]:
    """Take both limits out of the keywords; one that is no number stays, and makes the schema not plain."""
    found = [least, float("inf")]
    for place, key in enumerate((lower, upper)):
        value = stated.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[place] = value
            del stated[key]
    return found[0], found[1]
