"""Spec 3.2, rules of schema keywords - decides when what a keyword demands follows from what is known already.

Rules:
- One row for each keyword whose demand concerns the value itself, not what is inside it.
- A row answers "it follows" only when it is certain; "no" means "it does not follow", not "it is broken".

Not here: properties, items and composition (`engines/subschemas.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from engines import schema_facts as facts
from engines.schemas import Part, Parts, is_among


class Rule(NamedTuple):
    """How one keyword is judged.

    Attributes:
        kind: the type of value it concerns, None for all.
        follows: whether the wanted part's demand holds for every value of the given parts.
        says: the demand in words; `{}` is its value.
    """

    kind: str | None
    follows: Callable[[Parts, Part], bool]
    says: str

    def told(self, keyword: str, wanted: Part) -> str:
        """Return the demand in words."""
        return self.says.format(json.dumps(wanted[keyword], ensure_ascii=False)[:200])


def _type(parts: Parts, wanted: Part) -> bool:
    allowed = facts.named_types(wanted)
    kinds = {"number" if kind == "integer" else kind for kind in allowed}
    whole = "integer" in allowed and "number" not in allowed
    found = facts.types_of(parts)
    return found <= kinds and (not whole or "number" not in found or facts.only_integers(parts))


def _never(parts: Parts, wanted: Part) -> bool:
    """Whoever has few values was looked at one by one before."""
    del parts, wanted
    return False


def _minimum(parts: Parts, wanted: Part) -> bool:
    low = facts.lower_bound(parts)
    return low is not None and low.value >= facts.exact(wanted["minimum"])


def _exclusive_minimum(parts: Parts, wanted: Part) -> bool:
    low, limit = facts.lower_bound(parts), facts.exact(wanted["exclusiveMinimum"])
    return low is not None and (low.value > limit or (low.value == limit and low.open))


def _maximum(parts: Parts, wanted: Part) -> bool:
    high = facts.upper_bound(parts)
    return high is not None and high.value <= facts.exact(wanted["maximum"])


def _exclusive_maximum(parts: Parts, wanted: Part) -> bool:
    high, limit = facts.upper_bound(parts), facts.exact(wanted["exclusiveMaximum"])
    return high is not None and (high.value < limit or (high.value == limit and high.open))


def _multiple_of(parts: Parts, wanted: Part) -> bool:
    step = facts.exact(wanted["multipleOf"])
    steps = [facts.exact(part["multipleOf"]) for part in parts if "multipleOf" in part]
    if facts.only_integers(parts):
        steps.append(facts.exact(1))
    return any((other / step).denominator == 1 for other in steps)


def _at_least(keyword: str) -> Callable[[Parts, Part], bool]:
    return lambda parts, wanted: bool(facts.at_least(parts, keyword) >= wanted[keyword])


def _at_most(keyword: str) -> Callable[[Parts, Part], bool]:
    return lambda parts, wanted: bool(facts.at_most(parts, keyword) <= wanted[keyword])


def _stated(*keywords: str) -> Callable[[Parts, Part], bool]:
    """Follow only from the same said of the same."""

    def follows(parts: Parts, wanted: Part) -> bool:
        demand = {keyword: wanted[keyword] for keyword in keywords if keyword in wanted}
        if facts.has_reference(demand):
            return False
        return is_among(demand, ({key: part[key] for key in keywords if key in part} for part in parts))

    return follows


def _unique(parts: Parts, wanted: Part) -> bool:
    if wanted["uniqueItems"] is False or facts.at_most(parts, "maxItems") <= 1:
        return True
    return any(part.get("uniqueItems") is True for part in parts)


def _least_properties(parts: Parts, wanted: Part) -> bool:
    known = max(facts.at_least(parts, "minProperties"), len(facts.required(parts)))
    return bool(known >= wanted["minProperties"])


def _most_properties(parts: Parts, wanted: Part) -> bool:
    limit = facts.at_most(parts, "maxProperties")
    closed = [part for part in parts if part.get("additionalProperties") is False and "patternProperties" not in part]
    return bool(min([limit, *(len(part.get("properties", {})) for part in closed)]) <= wanted["maxProperties"])


def _dependent(parts: Parts, wanted: Part) -> bool:
    always = facts.required(parts)
    return all(
        always.issuperset(needed)
        or False in facts.property_schemas(parts, name)
        or any(set(needed) <= {*part.get("dependentRequired", {}).get(name, ())} for part in parts)
        for name, needed in wanted["dependentRequired"].items()
    )


_CONTAINS: Final = _stated("contains", "minContains", "maxContains")

RULES: Final[Mapping[str, Rule]] = {
    "type": Rule(None, _type, "must be of type {}"),
    "enum": Rule(None, _never, "must be one of {}"),
    "const": Rule(None, _never, "must be {}"),
    "minimum": Rule("number", _minimum, "must be at least {}"),
    "exclusiveMinimum": Rule("number", _exclusive_minimum, "must be more than {}"),
    "maximum": Rule("number", _maximum, "must be at most {}"),
    "exclusiveMaximum": Rule("number", _exclusive_maximum, "must be less than {}"),
    "multipleOf": Rule("number", _multiple_of, "must be a multiple of {}"),
    "minLength": Rule("string", _at_least("minLength"), "must have at least {} characters"),
    "maxLength": Rule("string", _at_most("maxLength"), "must have at most {} characters"),
    "pattern": Rule("string", _stated("pattern"), "must match {}"),
    "format": Rule("string", _stated("format"), "must have the format {}"),
    "minItems": Rule("array", _at_least("minItems"), "must have at least {} items"),
    "maxItems": Rule("array", _at_most("maxItems"), "must have at most {} items"),
    "uniqueItems": Rule("array", _unique, "must have no item twice"),
    "contains": Rule("array", _CONTAINS, "must have an item such as {}"),
    "minContains": Rule("array", _CONTAINS, "must have {} such items at least"),
    "maxContains": Rule("array", _CONTAINS, "must have {} such items at most"),
    "minProperties": Rule("object", _least_properties, "must have at least {} properties"),
    "maxProperties": Rule("object", _most_properties, "must have at most {} properties"),
    "propertyNames": Rule("object", _stated("propertyNames"), "must have property names such as {}"),
    "dependentRequired": Rule("object", _dependent, "must have the properties that go together: {}"),
}
