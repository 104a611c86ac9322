"""Tests of the plugin alone: it needs nothing but Python and pytest."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[1]
MANIFEST = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))


def capabilities() -> dict[str, Any]:
    """Load the plugin's code from its file, as it is loaded when it serves."""
    spec = importlib.util.spec_from_file_location(f"{MANIFEST['name']}_under_test", FOLDER / "plugin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.capabilities
    return found


def golden_calls() -> list[Any]:
    """Return every example of the manifest that states a result."""
    return [
        pytest.param(interface["name"], method["name"], example, id=f"{method['name']}-{number}")
        for interface in MANIFEST["provided_interfaces"]
        for method in interface["methods"]
        for number, example in enumerate(method.get("examples", []))
        if "result" in example
    ]


@pytest.mark.parametrize(("capability", "method", "example"), golden_calls())
def test_a_golden_call_gives_its_result(capability: str, method: str, example: dict[str, Any]) -> None:
    assert getattr(capabilities()[capability], method)(**example["arguments"]) == example["result"]


def test_an_empty_name_is_refused_with_words_for_the_person_who_sees_them() -> None:
    with pytest.raises(ValueError, match="say whom to greet"):
        capabilities()["my_plugin"].greet(name="   ")
