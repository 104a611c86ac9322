"""The currency tools: exchange and split, to the coin."""

import json
from importlib import util
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1]


def loaded():
    """Load the plugin as its process does, from the file."""
    spec = util.spec_from_file_location("currency_1_0_0", FOLDER / "plugin.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def currency():
    return loaded().capabilities["currency"]


def golden_calls():
    for interface in json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))["provided_interfaces"]:
        for method in interface["methods"]:
            for example in method["examples"]:
                yield pytest.param(method["name"], example, id=method["name"])


@pytest.mark.parametrize(("method", "example"), list(golden_calls()))
def test_golden_calls_give_the_results_they_promise(currency, method, example):
    assert getattr(currency, method)(**example["arguments"]) == example["result"]


def test_parts_add_up_to_the_coin(currency):
    for parts in (1, 2, 3, 7, 12):
        assert round(sum(currency.split(100.01, "EUR", parts)["parts"]), 2) == 100.01


def test_a_currency_without_coins_is_split_in_whole_units(currency):
    assert currency.split(100, "JPY", 3)["parts"] == [34.0, 33.0, 33.0]


def test_a_missing_rate_is_told_with_the_ones_there_are(currency):
    with pytest.raises(ValueError, match="do not name CHF; they name EUR, USD"):
        currency.exchange(1, "EUR", "CHF", {"EUR": 1, "USD": 1.25})


def test_exchanging_into_the_same_currency_changes_nothing(currency):
    assert currency.exchange(12.34, "EUR", "EUR", {"EUR": 1})["amount"] == 12.34
