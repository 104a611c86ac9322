"""The unit tools: exact factors, and clear refusals."""

import json
from importlib import util
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1]


def loaded():
    """Load the plugin as its process does, from the file."""
    spec = util.spec_from_file_location("units_1_0_0", FOLDER / "plugin.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def units():
    return loaded().capabilities["units"]


def golden_calls():
    for interface in json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))["provided_interfaces"]:
        for method in interface["methods"]:
            for example in method["examples"]:
                yield pytest.param(method["name"], example, id=method["name"])


@pytest.mark.parametrize(("method", "example"), list(golden_calls()))
def test_golden_calls_give_the_results_they_promise(units, method, example):
    assert getattr(units, method)(**example["arguments"]) == example["result"]


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        # NIST SP 811 (2008), appendix B.8
        (1, "pound", "kilogram", 0.45359237),
        (1, "gallon", "litre", 3.785411784),
        (1, "acre", "square metre", 4046.8564224),
        (32, "fahrenheit", "celsius", 0),
        (0, "kelvin", "celsius", -273.15),
    ],
)
def test_factors_are_those_of_the_standard(units, value, source, target, expected):
    assert units.convert(value, source, target)["value"] == expected


def test_there_and_back_is_where_one_was(units):
    away = units.convert(7.3, "mile", "kilometre")["value"]
    assert units.convert(away, "kilometre", "mile")["value"] == pytest.approx(7.3, rel=1e-14)


def test_only_units_of_one_kind_convert(units):
    with pytest.raises(ValueError, match="mile measures length and kilogram measures mass"):
        units.convert(1, "mile", "kilogram")


def test_an_unknown_unit_is_told_by_name(units):
    with pytest.raises(ValueError, match="'smoot' is not a known unit"):
        units.convert(1, "smoot", "metre")


def test_every_unit_converts_into_itself(units):
    for unit in units.list_units()["units"]:
        assert units.convert(3, unit["name"], unit["name"])["value"] == pytest.approx(3)
