"""The text tools: what they keep, rank and pair."""

import json
from importlib import util
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1]


def loaded():
    """Load the plugin as its process does, from the file."""
    spec = util.spec_from_file_location("text_1_1_0", FOLDER / "plugin.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def text():
    return loaded().capabilities["text"]


def golden_calls():
    for interface in json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))["provided_interfaces"]:
        for method in interface["methods"]:
            for example in method["examples"]:
                yield pytest.param(method["name"], example, id=method["name"])


@pytest.mark.parametrize(("method", "example"), list(golden_calls()))
def test_golden_calls_give_the_results_they_promise(text, method, example):
    assert getattr(text, method)(**example["arguments"]) == example["result"]


def test_an_abbreviation_does_not_end_a_sentence(text):
    assert text.summarise("Ask Dr. Brown about the keys. He has them.")["of"] == 2


def test_a_summary_keeps_the_order_of_the_text(text):
    kept = text.summarise("Green paint. Nothing else. Paint is green. Green paint again.", sentences=2)["sentences"]
    assert [sentence["position"] for sentence in kept] == sorted(sentence["position"] for sentence in kept)


def test_a_summary_longer_than_the_text_is_the_text(text):
    assert text.summarise("One. Two. Three.", sentences=9)["summary"] == "One. Two. Three."


def test_a_word_counts_more_when_it_is_said_in_more_paragraphs(text):
    ranked = text.keywords("door door\n\nroof\n\nroof")["keywords"]
    assert [row["word"] for row in ranked] == ["roof", "door"]


def test_lines_that_share_no_word_are_not_alike(text):
    assert text.similar_lines("paint the door\ncall the plumber")["pairs"] == []


def test_a_line_of_signs_is_like_no_other(text):
    assert text.similar_lines("---\n---", threshold=0.1) == {"pairs": [], "lines": 2}
