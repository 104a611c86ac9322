"""What is read and written beside foreign code is what Python's own `json` reads and writes."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.core.lean_json import dumps, loads

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
NOT_JSON = ("", " ", "{", "[1,]", "{'a': 1}", "1 2", "tru", '"', '"\n"', "\ufeff1", '{"a" 1}')


@given(VALUES)
def test_values_are_written_as_json_writes_them(value: object) -> None:
    assert dumps(value) == json.dumps(value)
    assert dumps(value, strict=True) == json.dumps(value, ensure_ascii=False)


@given(VALUES)
def test_values_are_read_as_json_reads_them(value: object) -> None:
    text = json.dumps(value, indent=1)
    assert loads(text) == value
    assert loads(f" {text}\r\n".encode()) == value


@pytest.mark.parametrize("text", NOT_JSON)
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        json.loads(text)
    with pytest.raises(ValueError, match=r"\w"):
        loads(text)


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="set is not JSON"):
        dumps({"a": {1}})
    knot: list[object] = []
    knot.append(knot)
    with pytest.raises(ValueError, match="Circular"):
        dumps(knot)
    assert dumps([1, [1]]) == "[1, [1]]"
    for odd in (math.nan, math.inf):
        with pytest.raises(ValueError, match="Out of range"):
            dumps(odd, strict=True)
