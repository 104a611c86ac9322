"""Spec 3.2, plain schemas - decides whether a glance ever lets through what the JSON Schema library would not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from plugins.core.shapes import glance_of

NAMES = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(-3, 3) | st.floats(-3, 3) | st.booleans()
VALUES = st.recursive(
    st.none() | NUMBERS | st.text("ab\U0001f600", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


def limits(lower: str, upper: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return none, one or both of two keywords."""
    return st.fixed_dictionaries({}, optional={lower: st.integers(-1, 2), upper: st.integers(0, 3)})


def counts(lower: str, upper: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return keywords that count things, which are never negative."""
    return st.fixed_dictionaries({}, optional={lower: st.integers(0, 2), upper: st.integers(0, 3)})


SCALARS = st.one_of(
    st.just(True),
    st.just({"title": "Anything"}),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}]),
    st.builds(lambda more: {"type": "string", **more}, counts("minLength", "maxLength")),
    st.builds(
        lambda kind, more: {"type": kind, **more}, st.sampled_from(["integer", "number"]), limits("minimum", "maximum")
    ),
    st.builds(
        lambda values: {"enum": values}, st.lists(st.text("ab", max_size=2), min_size=1, max_size=3, unique=True)
    ),
)
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda item, more: {"type": "array", "items": item, **more}, inner, counts("minItems", "maxItems")),
        st.builds(
            lambda properties, required, others: {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": others,
            },
            st.dictionaries(NAMES, inner, max_size=3),
            st.lists(NAMES, max_size=2, unique=True),
            st.booleans(),
        ),
    ),
    max_leaves=5,
)


@given(SCHEMAS, st.lists(VALUES, min_size=1, max_size=5))
def test_what_a_glance_waves_through_fits(schema: Any, values: list[Any]) -> None:
    glance = glance_of(schema)
    assert glance is not None
    for value in values:
        assert not glance(value) or Draft202012Validator(schema).is_valid(value)


PLAIN: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "What to shout.", "minLength": 1},
        "times": {"type": "integer", "minimum": 1, "maximum": 5, "default": 1},
        "how": {"enum": ["loud", "quiet"]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "sure": {"type": "boolean"},
        "nothing": {"type": "null"},
        "ratio": {"type": "number"},
        "more": True,
    },
    "required": ["text"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("arguments", "waved_through"),
    [
        ({"text": "a"}, True),
        ({"text": "a", "times": 5, "how": "loud", "tags": ["x", "y"], "sure": True, "nothing": None}, True),
        ({"text": "a", "ratio": 1, "more": [1, {}]}, True),
        ({}, False),
        ({"text": ""}, False),
        ({"text": 1}, False),
        ({"text": "a", "times": True}, False),
        ({"text": "a", "times": 6}, False),
        ({"text": "a", "how": "odd"}, False),
        ({"text": "a", "tags": ["x", 1]}, False),
        ({"text": "a", "tags": ["x", "y", "z"]}, False),
        ({"text": "a", "other": 1}, False),
        (["text"], False),
    ],
)
def test_the_arguments_that_tools_get_are_told_apart_at_a_glance(arguments: Any, waved_through: bool) -> None:
    glance = glance_of(PLAIN)
    assert glance is not None
    assert glance(arguments) is waved_through


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^a"},
        {"type": "string", "maxLength": "2"},
        {"type": ["string", "null"]},
        {"type": "object", "properties": {"a": {"$ref": "#"}}},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "array", "prefixItems": [{"type": "string"}]},
        {"enum": [1]},
        {"anyOf": [{"type": "string"}]},
        False,
    ],
)
def test_a_schema_that_says_more_gets_no_glance(schema: Any) -> None:
    assert glance_of(schema) is None


def test_a_schema_nested_without_end_gets_no_glance() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(100):
        schema = {"type": "array", "items": schema}
    assert glance_of(schema) is None
