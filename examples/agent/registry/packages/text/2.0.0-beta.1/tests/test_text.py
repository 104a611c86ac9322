"""The text tools, second edition: shares, phrases, groups."""

import json
from importlib import util
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1]


def loaded():
    """Load the plugin as its process does, from the file."""
    spec = util.spec_from_file_location("text_2_0_0", FOLDER / "plugin.py")
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


def test_a_share_of_one_keeps_the_whole_text(text):
    assert text.summarise("One. Two. Three.", share=1)["summary"] == ["One.", "Two.", "Three."]


def test_a_phrase_counts_more_than_its_words(text):
    assert text.keywords("Green paint. Green paint.", limit=1)["keywords"] == [{"phrase": "green paint", "count": 2}]


def test_lines_join_a_group_through_one_another(text):
    lines = "paint green door\npaint green door today\ngreen door today again"
    assert text.similar_lines(lines, threshold=0.6)["groups"] == [[1, 2, 3]]
