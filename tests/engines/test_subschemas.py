"""Random pairs of schemas: what is called proved holds for every value tried, what is called shown is shown."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from engines.schemas import Document
from engines.subschemas import differences
from engines.witnesses import Witnesses

SMALL = st.integers(-2, 3)
SIZES = st.integers(0, 3)
NAMES = st.sampled_from(["a", "b"])
LEAVES = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"type": st.sampled_from(["integer", "number", "string", "boolean", "null"])}),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={"minimum": SMALL, "maximum": SMALL, "exclusiveMinimum": SMALL, "multipleOf": st.integers(1, 3)},
    ),
    st.fixed_dictionaries({"type": st.just("string")}, optional={"minLength": SIZES, "maxLength": SIZES}),
    st.fixed_dictionaries(
        {"enum": st.lists(st.sampled_from([0, 1, 2, "a", "", True, None]), min_size=1, max_size=3, unique_by=repr)}
    ),
    st.fixed_dictionaries({"type": st.just(["string", "null"])}),
)


def composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    closed = st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(NAMES, inner, max_size=2)},
        optional={"required": st.lists(NAMES, max_size=2, unique=True), "minProperties": SIZES},
    ).map(lambda schema: {**schema, "additionalProperties": False})
    others = st.fixed_dictionaries(
        {"type": st.just("object"), "additionalProperties": inner},
        optional={"required": st.lists(NAMES, max_size=1), "maxProperties": SIZES},
    )
    lists = st.fixed_dictionaries(
        {"type": st.just("array"), "items": inner},
        optional={"minItems": SIZES, "maxItems": SIZES, "uniqueItems": st.booleans(), "prefixItems": several},
    )
    combined = st.one_of(*(st.fixed_dictionaries({key: several}) for key in ("anyOf", "oneOf", "allOf")))
    negated = st.fixed_dictionaries({"not": inner})
    return st.one_of(closed, others, lists, combined, negated)


SCHEMAS = st.recursive(LEAVES, composed, max_leaves=6)
VALUES = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 2, 3, -1, 0.5, 1.0, "", "a", "aa", "b", "aaaa"]),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["a", "b", "c"]), inner)),
    max_leaves=6,
)
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def fits(schema: Any, value: Any) -> bool:
    return Draft202012Validator(schema).is_valid(value)


@MANY
@given(narrow=SCHEMAS, wide=SCHEMAS, values=st.lists(VALUES, max_size=20))
def test_what_is_proved_holds_and_what_is_shown_is_shown(narrow: Any, wide: Any, values: list[Any]) -> None:
    found = differences(narrow, wide)
    for difference in found:
        if difference.proven:
            assert fits(narrow, difference.example)
            assert not fits(wide, difference.example)
    if not found:
        made = list(Witnesses(Document(narrow), [narrow, wide]).of(narrow))[:100]
        for value in [*values, *made]:
            assert fits(wide, value) or not fits(narrow, value), (narrow, wide, value)


@MANY
@given(schema=SCHEMAS)
def test_a_schema_fits_itself(schema: Any) -> None:
    assert differences(schema, schema) == []


@MANY
@given(schema=SCHEMAS, other=SCHEMAS)
def test_either_and_both_are_wider_and_narrower(schema: Any, other: Any) -> None:
    assert differences(schema, {"anyOf": [schema, other]}) == []
    assert differences({"allOf": [schema, other]}, schema) == []
