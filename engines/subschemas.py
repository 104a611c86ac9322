"""Spec 3.2, widening and narrowing - decides in which ways a value may fit one schema and not another.

    differences(narrow, wide) is empty  =>  it is proved that every value of `narrow` fits `wide`

Rules:
- Proved is what follows keyword by keyword; a recursive schema is taken to fit while it is being looked at.
- What does not follow is looked for with values. One that fits `narrow`, does not fit `wide`, and breaks the very
  keyword at its place proves a difference; without one the difference is told as unproven.
- A keyword that is not understood is unproven, unless both sides state it alike.
- An optional property that is declared newly on an object which was open and stays open is no difference, although a
  value could have carried the name before: nothing was promised about it.

Not here: which of two versions is the narrow one (`engines/compatibility.py`).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Final, NamedTuple

from pydantic import JsonValue

from engines import schema_facts as facts
from engines.disjoint import Disjoint
from engines.keyword_rules import RULES
from engines.schemas import ANNOTATIONS, Document, Part, Parts, Schema, TooManyAlternatives, is_among, written
from engines.witnesses import Witnesses

MOST_STEPS: Final = 5_000
MOST_CANDIDATES: Final = 200
MOST_WHOLES: Final = 6
MOST_SPLITS: Final = 3
_COMPOSED: Final = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
_BESIDE: Final = {
    "contains": ("minContains", "maxContains"),
    "minContains": ("contains",),
    "maxContains": ("contains",),
    "if": ("then", "else"),
}
"""What a keyword means only together with others beside it."""


class Difference(NamedTuple):
    """One way in which a value of the narrow schema does not fit the wide one.

    Attributes:
        path: the place in the value.
        rule: the keyword of the wide schema that it breaks.
        message: what the wide schema says there.
        proven: whether `example` shows it.
        example: a whole value that fits the narrow schema only.
    """

    path: str
    rule: str
    message: str
    proven: bool
    example: JsonValue = None


@dataclass(frozen=True)
class _Place:
    """Where in a value something is, and how a value there is made whole."""

    path: str
    lift: Callable[[JsonValue], Iterator[JsonValue]]


@dataclass(frozen=True)
class _Doubt:
    """Something that does not follow: what is demanded, and values that might not meet it."""

    place: _Place
    rule: str
    message: str
    demand: Schema
    candidates: Callable[[], Iterable[JsonValue]] = tuple


def differences(narrow: Schema, wide: Schema, hints: Iterable[object] = ()) -> list[Difference]:
    """Return every way found in which a value may fit `narrow` and not `wide`.

    Args:
        narrow: the schema whose values are asked about.
        wide: the schema they are to fit.
        hints: values that are known to fit one of them, such as golden calls.
    """
    search = _Search(Document(narrow), Document(wide), hints)
    found: dict[tuple[str, str, str], Difference] = {}
    for difference in map(search.verified, search.doubts()):
        key = (difference.path, difference.rule, difference.message)
        if key not in found or (difference.proven and not found[key].proven):
            found[key] = difference
    return list(found.values())


class _Search:
    """One comparison of two documents."""

    def __init__(self, narrow: Document, wide: Document, hints: Iterable[object]) -> None:
        self._narrow, self._wide = narrow, wide
        self._same_document = narrow.root == wide.root
        self._witnesses = Witnesses(narrow, [narrow.root, wide.root, *hints])
        self._disjoint = Disjoint(narrow, wide)
        self._open: set[str] = set()
        self._steps = 0

    def doubts(self) -> list[_Doubt]:
        """Return everything that does not follow."""
        return self._within((self._narrow.root,), self._wide.root, _Place("$", lambda value: iter([value])))

    def verified(self, doubt: _Doubt) -> Difference:
        """Return what a doubt comes to, with a value that shows it if one is found."""
        for candidate in itertools.islice(doubt.candidates(), MOST_CANDIDATES):
            if not self._wide.refuses(candidate, doubt.demand):
                continue
            for whole in itertools.islice(doubt.place.lift(candidate), MOST_WHOLES):
                if self._narrow.admits(whole) and self._wide.refuses(whole):
                    return Difference(doubt.place.path, doubt.rule, doubt.message, proven=True, example=whole)
        return Difference(doubt.place.path, doubt.rule, doubt.message, proven=False)

    def _within(self, given: tuple[Schema, ...], wanted: Schema, place: _Place) -> list[_Doubt]:
        """Return why values that fit all of `given` may not fit `wanted`."""
        try:
            alternatives = self._narrow.alternatives(*given)
        except TooManyAlternatives:
            return [_Doubt(place, "anyOf", "has too many alternatives to be compared", wanted)]
        return [doubt for parts in alternatives for doubt in self._fits(parts, wanted, place)]

    def _fits(self, parts: Parts, wanted: Schema, place: _Place) -> list[_Doubt]:
        """Return why values of one alternative may not fit `wanted`."""
        self._steps += 1
        if self._steps > MOST_STEPS:
            return [_Doubt(place, "size", "is too large to be compared", wanted)]
        key = written([parts, wanted])
        if key in self._open or wanted in (True, {}) or not facts.types_of(parts):
            return []
        values = facts.finite_values(self._narrow, parts)
        if values is not None:
            return self._listed(values, wanted, place)
        if isinstance(wanted, bool):
            return [self._doubt(parts, place, "false", "must not be there", demand=False)]
        self._open.add(key)
        try:
            return [*self._composed(parts, wanted, place), *self._plain(parts, wanted, place)]
        finally:
            self._open.discard(key)

    def _listed(self, values: list[JsonValue], wanted: Schema, place: _Place) -> list[_Doubt]:
        refused = [value for value in values if not self._wide.admits(value, wanted)]
        if not refused:
            return []
        stated = wanted if not isinstance(wanted, bool) else {}
        rule = next((keyword for keyword in ("enum", "const", "type") if keyword in stated), "values")
        told = ", ".join(json.dumps(value, ensure_ascii=False)[:100] for value in refused[:5])
        return [_Doubt(place, rule, f"must not be {told}", wanted, lambda: refused)]

    def _composed(self, parts: Parts, wanted: Part, place: _Place) -> Iterator[_Doubt]:
        if "$ref" in wanted:
            target = self._wide.target(wanted["$ref"])
            if target == {"$ref": wanted["$ref"]}:
                yield _Doubt(place, "$ref", f"refers to {wanted['$ref']}, which is not there", wanted)
            else:
                yield from self._fits(parts, target, place)
        for branch in wanted.get("allOf", ()):
            yield from self._fits(parts, branch, place)
        for keyword in ("anyOf", "oneOf"):
            if keyword in wanted:
                yield from self._fits_one(parts, {keyword: wanted[keyword]}, place, MOST_SPLITS)

    def _fits_one(self, parts: Parts, wanted: Part, place: _Place, splits: int) -> list[_Doubt]:
        """Look for the branch that all values fit, or for one for each kind of them; else return the nearest miss."""
        (keyword, branches), *_ = wanted.items()
        misses = [self._misses(parts, wanted, number, place) for number in range(len(branches))]
        if [] in misses:
            return []
        for kinds in self._kinds(parts) if splits else ():
            if not any(self._fits_one(kind, wanted, place, splits - 1) for kind in kinds):
                return []
        nearest = min(misses, key=len, default=[])
        if len(nearest) == 1:
            return nearest
        return [self._doubt(parts, place, keyword, f"must fit {keyword}", demand=wanted)]

    def _misses(self, parts: Parts, wanted: Part, number: int, place: _Place) -> list[_Doubt]:
        """Return why one branch is not the branch."""
        (keyword, branches), *_ = wanted.items()
        found = self._fits(parts, branches[number], place)
        if found or keyword == "anyOf":
            return found
        others = [*branches[:number], *branches[number + 1 :]]
        if all(self._disjoint.certain(parts, other) for other in others):
            return []
        return [self._doubt(parts, place, "oneOf", "must fit one alternative only", demand=wanted)]

    def _kinds(self, parts: Parts) -> Iterator[list[Parts]]:
        """Yield ways to divide an alternative: by type, or by the values of a property that tells kinds apart."""
        types = sorted(facts.types_of(parts))
        if len(types) > 1:
            yield [(*parts, {"type": name}) for name in types]
            return
        for name in sorted(facts.required(parts)) if types == ["object"] else ():
            values = self._disjoint.values_of(parts, name)
            if values is not None and len(values) > 1:
                yield [(*parts, {"properties": {name: {"const": value}}}) for value in values]

    def _plain(self, parts: Parts, wanted: Part, place: _Place) -> Iterator[_Doubt]:
        """Go through the keywords of `wanted` itself."""
        plain = {key: value for key, value in wanted.items() if key not in ANNOTATIONS and key not in _COMPOSED}
        if is_among(plain, parts) and self._means_the_same(plain):
            return
        kinds = facts.types_of(parts)
        yield from self._ruled(parts, plain, place, kinds)
        for check in _CHECKS:
            if not check.keywords.isdisjoint(plain) and (check.kind is None or check.kind in kinds):
                narrowed = (*parts, {"type": check.kind}) if check.kind else parts
                yield from check.doubts(self, narrowed, plain, place)
        for keyword in sorted(plain.keys() - RULES.keys() - _CHECKED):
            if not self._stated(parts, {keyword: plain[keyword]}):
                said = f"must meet {keyword}, of which nothing can be proved"
                yield self._doubt(parts, place, keyword, said, demand={keyword: plain[keyword]})

    def _ruled(self, parts: Parts, plain: Part, place: _Place, kinds: Set[str]) -> Iterator[_Doubt]:
        """Go through the keywords that a rule of one value decides."""
        for keyword in (key for key in plain if key in RULES):
            rule = RULES[keyword]
            if (rule.kind is None or rule.kind in kinds) and not rule.follows(parts, plain):
                narrowed = (*parts, {"type": rule.kind}) if rule.kind else parts
                demand = {key: plain[key] for key in (keyword, *_BESIDE.get(keyword, ())) if key in plain}
                yield self._doubt(narrowed, place, keyword, rule.told(keyword, plain), demand=demand)

    def _stated(self, parts: Parts, demand: Part) -> bool:
        """Say whether a part demands the same in the same words."""
        said = ({key: part[key] for key in demand if key in part} for part in parts)
        return is_among(demand, said) and self._means_the_same(demand)

    def _means_the_same(self, schema: Schema) -> bool:
        return self._same_document or not facts.has_reference(schema)

    def required(self, parts: Parts, plain: Part, place: _Place) -> Iterator[_Doubt]:
        """Doubt every property that may be missing."""
        for name in plain["required"]:
            if name not in facts.required(parts):
                yield self._doubt(parts, place, "required", f"must have `{name}`", demand={"required": [name]})

    def properties(self, parts: Parts, plain: Part, place: _Place) -> Iterator[_Doubt]:
        """Doubt the values of properties, those with a name first."""
        promised = facts.declared(parts) | facts.required(parts)
        stays_open = facts.is_open(plain) and all(map(facts.is_open, parts))
        named = promised | facts.declared((plain,))
        for name in sorted(promised if stays_open else named):
            given = facts.property_schemas(parts, name)
            inner = self._property_place(parts, name, place)
            for wanted in facts.property_schemas((plain,), name):
                yield from self._within(given, wanted, inner)
        for pattern, given, wanted in facts.unnamed(parts, plain):
            spare = self._witnesses.name(pattern, named)
            inner = _Place(f"{place.path}.*", self._property_place(parts, spare, place).lift)
            yield from self._within(given, wanted, inner)

    def items(self, parts: Parts, plain: Part, place: _Place) -> Iterator[_Doubt]:
        """Doubt the items of lists, place by place, and then all others."""
        last = max(facts.positions(parts), facts.positions((plain,)))
        for index in range(last + 1):
            if index < facts.at_most(parts, "maxItems"):
                inner = self._item_place(parts, index, place, "*" if index == last else str(index))
                for wanted in facts.item_schemas((plain,), index):
                    yield from self._within(facts.item_schemas(parts, index), wanted, inner)

    def negation(self, parts: Parts, plain: Part, place: _Place) -> Iterator[_Doubt]:
        """Doubt that nothing forbidden fits."""
        if not self._disjoint.certain(parts, plain["not"]):
            yield self._doubt(parts, place, "not", "must not fit `not`", demand={"not": plain["not"]})

    def conditional(self, parts: Parts, plain: Part, place: _Place) -> Iterator[_Doubt]:
        """Doubt a condition, unless both of its ends hold whatever it says."""
        demand = {key: plain[key] for key in ("if", "then", "else") if key in plain}
        ends = (plain.get("then", True), plain.get("else", True))
        if "if" in plain and not self._stated(parts, demand) and any(self._fits(parts, end, place) for end in ends):
            yield self._doubt(parts, place, "if", "must meet a condition (`if`)", demand=demand)

    def _property_place(self, parts: Parts, name: str, place: _Place) -> _Place:
        def lift(value: JsonValue) -> Iterator[JsonValue]:
            for base in itertools.islice(self._witnesses.objects(parts), 3):
                yield from place.lift({**base, name: value})

        return _Place(f"{place.path}.{name}" if name.isidentifier() else f"{place.path}[{json.dumps(name)}]", lift)

    def _item_place(self, parts: Parts, index: int, place: _Place, shown: str) -> _Place:
        def lift(value: JsonValue) -> Iterator[JsonValue]:
            for base in itertools.islice(self._witnesses.lists(parts), 8):
                if len(base) >= index:
                    yield from place.lift([*base[:index], value, *base[index + 1 :]])
            yield from place.lift([value] * max(facts.at_least(parts, "minItems"), index + 1))

        return _Place(f"{place.path}[{shown}]", lift)

    def _doubt(self, parts: Parts, place: _Place, rule: str, message: str, *, demand: Schema) -> _Doubt:
        return _Doubt(place, rule, message, demand, lambda: self._witnesses.of_parts(parts))


class _Check(NamedTuple):
    """Keywords that are looked at together, because they are about what is inside a value."""

    keywords: frozenset[str]
    kind: str | None
    doubts: Callable[[_Search, Parts, Part, _Place], Iterator[_Doubt]]


_CHECKS: Final = (
    _Check(frozenset({"required"}), "object", _Search.required),
    _Check(frozenset({"properties", "patternProperties", "additionalProperties"}), "object", _Search.properties),
    _Check(frozenset({"items", "prefixItems"}), "array", _Search.items),
    _Check(frozenset({"not"}), None, _Search.negation),
    _Check(frozenset({"if", "then", "else"}), None, _Search.conditional),
)
_CHECKED: Final = frozenset().union(*(check.keywords for check in _CHECKS))
