"""The document tools: outlines, made once and remembered, and tables."""

import json
from importlib import util
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1]


def loaded():
    """Load the plugin as its process does, from the file."""
    spec = util.spec_from_file_location("documents_1_1_0", FOLDER / "plugin.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def documents():
    return loaded().capabilities["documents"]


def golden_calls():
    for interface in json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))["provided_interfaces"]:
        for method in interface["methods"]:
            for example in method["examples"]:
                yield pytest.param(method["name"], example, id=method["name"])


@pytest.mark.parametrize(("method", "example"), list(golden_calls()))
def test_golden_calls_give_the_results_they_promise(documents, method, example):
    assert getattr(documents, method)(**example["arguments"]) == example["result"]


def test_a_heading_in_a_code_fence_is_code(documents):
    assert [h["text"] for h in documents.outline("# One\n\n```\n# not one\n```\n")["headings"]] == ["One"]


def test_deep_headings_can_be_left_out_and_keep_the_sizes_of_those_above(documents):
    text = "# One\n\nword\n\n### Deep\n\nword word\n"
    assert [(h["text"], h["words"]) for h in documents.outline(text, max_level=2)["headings"]] == [("One", 4)]


def test_a_second_heading_of_the_same_name_has_an_anchor_of_its_own(documents):
    assert [h["anchor"] for h in documents.outline("# A\n\n# A\n\n# A\n")["headings"]] == ["a", "a-1", "a-2"]


def test_an_empty_document_has_no_outline(documents):
    assert documents.outline("") == {"title": None, "headings": [], "links": 0, "broken_links": []}


def test_an_escaped_bar_stays_in_its_cell(documents):
    assert documents.extract_tables("a | b\n--|--\nx \\| y | z\n")["tables"][0]["rows"] == [["x | y", "z"]]


def test_asking_again_gives_the_same_outline(documents):
    text = "# One\n\n## Two\n"
    assert documents.outline(text) == documents.outline(text)


def test_depths_of_one_document_are_remembered_apart(documents):
    text = "# One\n\n## Two\n"
    assert len(documents.outline(text, max_level=1)["headings"]) == 1
    assert len(documents.outline(text)["headings"]) == 2


def test_many_documents_are_outlined_one_after_another(documents):
    for number in range(25):
        assert documents.outline(f"# Report {number}\n")["title"] == f"Report {number}"
