"""Spec 1.2, abstraction gap and extension point: ladders and unwritten protocols."""

from __future__ import annotations

from textwrap import indent

import pytest

from domain.patterns import PatternType
from engines.abstractions import MIN_CLASSES, MIN_RUNGS, find_abstractions
from tests.engines.sources import ladder, parsed

OF_TYPES = "isinstance({subject}, {kind})"
SHAPE = "    def open(self): ...\n    def read(self, size): ...\n    def close(self): ...\n"


def function(name: str, body: str) -> str:
    return f"def {name}(a):\n{indent(body, '    ')}\n"


def classes(count: int, shape: str = SHAPE, base: str = "") -> str:
    return "\n".join(f"class C{number}{base}:\n{shape}" for number in range(count))


@pytest.mark.parametrize(
    ("question", "rule"),
    [
        ("{subject} == '{kind}'", "value_ladder"),
        ("{subject} == Colour.{kind}", "value_ladder"),
        ("{subject} is Colour.{kind}", "value_ladder"),
        (OF_TYPES, "type_ladder"),
    ],
)
def test_a_ladder_is_an_extension_point(question: str, rule: str) -> None:
    (finding,) = find_abstractions([parsed(function("f", ladder("a", MIN_RUNGS, question)))])

    assert (finding.type, finding.rule) == (PatternType.EXTENSION_POINT, rule)
    assert finding.locations[0].symbol == "f"
    assert finding.title == f"f tells {MIN_RUNGS} kinds of a apart"


@pytest.mark.parametrize(
    "body",
    [
        ladder("a", MIN_RUNGS - 1),
        ladder("a", MIN_RUNGS, "{subject} > {kind}"),
        ladder("a", MIN_RUNGS, "{subject} == other_{kind}"),
        ladder("a", MIN_RUNGS, "{subject} == 'same'"),
        f"{ladder('a', MIN_RUNGS - 1)}\nelif b == 'KIND9':\n    x = 9",
        f"{ladder('a', MIN_RUNGS - 1)}\nelif isinstance(a, int):\n    x = 9",
        "match a:\n" + "\n".join(f"    case {number}: x = {number}" for number in range(9)),
    ],
    ids=["short", "order", "variables", "one kind", "two subjects", "values and types", "match"],
)
def test_what_is_no_ladder(body: str) -> None:
    assert find_abstractions([parsed(function("f", body))]) == []


def test_a_ladder_outside_of_functions_is_told_of_its_file() -> None:
    (finding,) = find_abstractions([parsed(ladder("mode", 5), "agent/start.py")])

    assert finding.title == "agent/start.py tells 5 kinds of mode apart"


def test_ladders_over_the_same_types_are_one_abstraction_gap() -> None:
    body = ladder("a", MIN_RUNGS, OF_TYPES)
    first, second = parsed(function("draw", body), "agent/a.py"), parsed(function("size", body), "agent/b.py")

    (finding,) = find_abstractions([first, second])

    assert (finding.type, finding.rule) == (PatternType.ABSTRACTION_GAP, "parallel_type_ladders")
    assert [place.symbol for place in finding.locations] == ["draw", "size"]


def test_ladders_over_other_types_stay_apart() -> None:
    file = parsed(
        function("draw", ladder("a", MIN_RUNGS, OF_TYPES)) + function("size", ladder("a", MIN_RUNGS + 1, OF_TYPES))
    )

    assert [finding.rule for finding in find_abstractions([file])] == ["type_ladder", "type_ladder"]


def test_classes_of_one_shape_without_a_base_are_an_unwritten_protocol() -> None:
    (finding,) = find_abstractions([parsed(classes(MIN_CLASSES))])

    assert (finding.type, finding.rule) == (PatternType.ABSTRACTION_GAP, "unwritten_protocol")
    assert finding.title == "3 classes share the methods close, open, read and no base"
    assert [place.symbol for place in finding.locations] == ["C0", "C1", "C2"]


@pytest.mark.parametrize(
    "code",
    [
        classes(MIN_CLASSES - 1),
        classes(MIN_CLASSES, base="(Stream)"),
        classes(MIN_CLASSES, "    def open(self): ...\n    def close(self): ...\n"),
        classes(2) + "\nclass Other:\n" + SHAPE.replace("size", "size, start"),
        classes(MIN_CLASSES, SHAPE.replace("read", "_read")),
        "def f():\n" + indent(classes(MIN_CLASSES), "    "),
    ],
    ids=["two classes", "a base", "two methods", "other parameters", "private methods", "local classes"],
)
def test_what_is_no_unwritten_protocol(code: str) -> None:
    assert find_abstractions([parsed(code)]) == []
