"""What the new versions of the example are: one better, one with an honest mistake."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from examples.agent import inputs
from plugins.core.contracts import checks_of
from plugins.core.packages import read_package
from tests.examples.packages import INSTALLED, Call, methods_of, offered, text_calls

LEAST_SPEED_UP = 1.5
REMEMBERED = 48


def seconds_for(tools: Any, calls: Sequence[Call]) -> float:
    """Return the time that the calls take, the best of three."""
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        for _, method, arguments in calls:
            getattr(tools, method)(**arguments)
        best = min(best, time.perf_counter() - began)
    return best


def test_the_faster_text_tools_give_the_same_answers() -> None:
    old, new = methods_of(INSTALLED / "text", "text"), methods_of(offered("text", "1.1.0"), "text")
    for _, method, arguments in text_calls(Random(2026), 300):
        assert getattr(new, method)(**arguments) == getattr(old, method)(**arguments), (method, arguments)


@pytest.mark.parametrize("method", ["summarise", "keywords", "similar_lines"])
def test_the_faster_text_tools_are_faster_on_every_method(method: str) -> None:
    random = Random(7)
    make = inputs.notes if method == "similar_lines" else inputs.prose
    calls = [("text", method, {"text": make(random, 40)}) for _ in range(12)]
    old, new = methods_of(INSTALLED / "text", "text"), methods_of(offered("text", "1.1.0"), "text")
    assert seconds_for(old, calls) >= LEAST_SPEED_UP * seconds_for(new, calls)


def test_the_harmful_outlines_are_right_and_quick_at_first() -> None:
    old, new = methods_of(INSTALLED / "documents", "documents"), methods_of(offered("documents", "1.1.0"), "documents")
    texts = [inputs.document(Random(seed)) for seed in range(25)]
    assert [new.outline(text) for text in texts] == [old.outline(text) for text in texts]
    calls = [("documents", "outline", {"text": text}) for text in texts]
    assert seconds_for(old, calls) >= LEAST_SPEED_UP * seconds_for(new, calls)


def test_the_harmful_outlines_fail_once_their_memory_is_full() -> None:
    new = methods_of(offered("documents", "1.1.0"), "documents")
    for seed in range(REMEMBERED):
        new.outline(inputs.document(Random(seed)))
    with pytest.raises(KeyError):
        new.outline(inputs.document(Random(REMEMBERED)))
    assert new.outline(inputs.document(Random(3)))["headings"], "what it remembers it still answers"


def test_the_preview_breaks_the_contract_of_the_version_in_use() -> None:
    contracts = [read_package(folder).contract for folder in (INSTALLED / "text", offered("text", "2.0.0-beta.1"))]
    before, after = ({key: checks.method.input_schema for key, checks in checks_of(one).items()} for one in contracts)
    assert before.keys() == after.keys()
    assert before["text", "summarise"] != after["text", "summarise"]
