"""Spec 1.1, code structure: how a Python file is read."""

from __future__ import annotations

import ast

import pytest

from engines.syntax import aliases_of, dotted, location, parse, symbols
from tests.engines.sources import parsed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1\ndef broken(:\n", "line 2: "),
        ("  indented = 1\n", "line 1: "),
        ("x = 1\0", ""),
        ("(" * 5_000 + ")" * 5_000, ""),
    ],
    ids=["syntax", "indentation", "null byte", "nested too deep"],
)
def test_a_file_that_cannot_be_parsed_is_told_with_its_reason(text: str, reason: str) -> None:
    answer = parse("a.py", text)

    assert isinstance(answer, str)
    assert answer.startswith(reason)


def test_symbols_come_in_the_order_of_the_file_with_dotted_names() -> None:
    file = parsed(
        """
        def first():
            def inner(): ...
        class A:
            def one(self): ...
            class B:
                async def two(self): ...
        if True:
            def last(): ...
        """
    )

    found = [(symbol.name, symbol.local) for symbol in symbols(file.tree)]

    assert found == [
        ("first", False),
        ("first.inner", True),
        ("A", False),
        ("A.one", False),
        ("A.B", False),
        ("A.B.two", False),
        ("last", False),
    ]


def test_a_location_counts_lines_from_one_and_holds_both_ends() -> None:
    file = parsed("x = 1\ndef f():\n    return 1\n")
    symbol = next(iter(symbols(file.tree)))

    place = location(file, symbol.node, symbol.name)

    assert (place.file, place.start_line, place.end_line, place.symbol) == ("agent/tools.py", 2, 3, "f")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import os\nos.system", "os.system"),
        ("import os as quiet\nquiet.system", "os.system"),
        ("import os.path\nos.path.join", "os.path.join"),
        ("from os import system as tidy\ntidy", "os.system"),
        ("import xml.dom as d\nd.Node", "xml.dom.Node"),
        ("made().open", ".open"),
        ("plain", "plain"),
    ],
)
def test_a_name_is_followed_to_what_was_imported(code: str, name: str) -> None:
    tree = ast.parse(code)
    last = tree.body[-1]
    assert isinstance(last, ast.Expr)

    assert dotted(last.value, aliases_of(tree)) == name
