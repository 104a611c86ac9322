"""Spec 1.2, repetition: copies are found whatever they are called, and nothing else is."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.patterns import PatternType
from engines.clones import MIN_NODES, Fingerprint, find_clones, fingerprint
from engines.syntax import Function
from tests.engines.sources import copied, parsed

NAMES = st.from_regex(r"[a-z]{4,9}", fullmatch=True)


def mark(code: str) -> Fingerprint:
    node = ast.parse(code).body[0]
    assert isinstance(node, Function)
    return fingerprint(node)


def test_copies_are_one_finding_with_every_place_in_order() -> None:
    first = parsed(copied("prices", "rows", "total"), "agent/a.py")
    second = parsed(copied("weights", "items", "most") + copied("lengths", "lines", "best"), "agent/b.py")

    (finding,) = find_clones([first, second], 3)

    assert finding.type is PatternType.REPETITION
    assert [(place.file, place.symbol) for place in finding.locations] == [
        ("agent/a.py", "prices"),
        ("agent/b.py", "weights"),
        ("agent/b.py", "lengths"),
    ]
    assert finding.evidence["copies"] == 3
    assert "prices" in finding.title


def test_methods_are_compared_like_functions() -> None:
    body = "\n".join(f"    {line}" for line in copied("price", "rows", "total").splitlines())
    other = "\n".join(f"    {line}" for line in copied("weight", "items", "most").splitlines())

    (finding,) = find_clones([parsed(f"class A:\n{body}\nclass B:\n{other}")], 2)

    assert [place.symbol for place in finding.locations] == ["A.price", "B.weight"]


def test_fewer_copies_than_asked_for_are_no_finding() -> None:
    file = parsed(copied("prices", "rows", "total") + copied("weights", "items", "most"))

    assert find_clones([file], 2) != []
    assert find_clones([file], 3) == []


@pytest.mark.parametrize("min_copies", [0, 1])
def test_one_function_is_never_its_own_copy(min_copies: int) -> None:
    assert find_clones([parsed(copied("prices", "rows", "total"))], min_copies) == []


def test_small_bodies_are_worth_nothing() -> None:
    small = "def {}(a, b):\n    return a + b\n"
    file = parsed(small.format("one") + small.format("two"))

    assert mark(small.format("one")).nodes < MIN_NODES
    assert find_clones([file], 2) == []


def test_a_nested_function_is_part_of_the_outer_one() -> None:
    inner = "\n".join(f"    {line}" for line in copied("price", "rows", "total").splitlines())
    file = parsed(f"def outer():\n{inner}\n" + copied("weight", "items", "most"))

    assert find_clones([file], 2) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(a, b):\n    return a + b", "def g(x, y):\n    return x + y"),
        ("def f(a):\n    return a + 1", "def f(a):\n    return a + 2"),
        ("def f(a):\n    return g(a)", "def f(b):\n    return h(b)"),
        ("def f(a):\n    'Says.'\n    return a", "def f(a):\n    return a"),
        ("def f(a: int) -> int:\n    return a", "def f(a):\n    return a"),
        ("@cache\ndef f(a):\n    return a", "def f(a):\n    return a"),
    ],
    ids=["names", "literals", "called names", "docstring", "annotations", "decorators"],
)
def test_what_does_not_make_a_difference(one: str, other: str) -> None:
    assert mark(one) == mark(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(a, b):\n    return a + b", "def f(a, b):\n    return a + a"),
        ("def f(a, b):\n    return a + b", "def f(a, b):\n    return a - b"),
        ("def f(a):\n    return a + 1", "def f(a):\n    return a + '1'"),
        ("def f(a):\n    return a + 1", "def f(a):\n    return a + 1.0"),
        ("def f(a):\n    return a", "def f(a, b):\n    return a"),
        ("def f(a):\n    return a", "def f(*a):\n    return a"),
        ("def f(a, b):\n    return [a], b", "def f(a, b):\n    return [a, b]"),
        ("def f(a):\n    g(a)\n    h(a)", "def f(a):\n    g(a)\n    g(a)"),
        ("def f(a):\n    return f'{a!r}'", "def f(a):\n    return f'{a!s}'"),
    ],
    ids=["renaming", "operator", "type", "number type", "parameters", "star", "structure", "calls", "conversion"],
)
def test_what_makes_a_difference(one: str, other: str) -> None:
    assert mark(one).digest != mark(other).digest


@given(st.lists(NAMES, min_size=3, max_size=3, unique=True))
def test_every_consistent_renaming_is_a_copy(names: list[str]) -> None:
    fresh = [f"{name}_" for name in names]

    assert mark(copied(fresh[0], fresh[1], fresh[2]).strip()) == mark(copied("prices", "rows", "total").strip())
