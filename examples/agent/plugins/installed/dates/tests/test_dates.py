"""The date tools: reading, counting, finding."""

import json
from importlib import util
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1]


def loaded():
    """Load the plugin as its process does, from the file."""
    spec = util.spec_from_file_location("dates_1_0_0", FOLDER / "plugin.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def dates():
    return loaded().capabilities["dates"]


def golden_calls():
    for interface in json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))["provided_interfaces"]:
        for method in interface["methods"]:
            for example in method["examples"]:
                yield pytest.param(method["name"], example, id=method["name"])


@pytest.mark.parametrize(("method", "example"), list(golden_calls()))
def test_golden_calls_give_the_results_they_promise(dates, method, example):
    assert getattr(dates, method)(**example["arguments"]) == example["result"]


@pytest.mark.parametrize("text", ["5 March 2026", "March 5, 2026", "2026-03-05", "5.3.2026", "5/3/2026", "Mar 5 2026"])
def test_all_forms_of_a_day_are_the_same_day(dates, text):
    assert dates.parse(text)["date"] == "2026-03-05"


@pytest.mark.parametrize("text", ["", "soon", "31 February 2026", "12 Ma 2026"])
def test_what_is_no_date_is_an_error(dates, text):
    with pytest.raises(ValueError, match=r"."):
        dates.parse(text)


def test_what_depends_on_today_asks_for_today(dates):
    with pytest.raises(ValueError, match="pass today"):
        dates.parse("tomorrow")


def test_the_iso_week_belongs_to_the_iso_year(dates):
    assert dates.parse("2027-01-01")["iso_week"] == 53  # ISO 8601: 1 January 2027 is a Friday


def test_adding_and_counting_working_days_agree(dates):
    for days in range(1, 40):
        end = dates.add_working_days("2026-03-04", days)["date"]
        assert dates.working_days("2026-03-04", end)["working_days"] == days


def test_a_holiday_is_no_working_day(dates):
    assert dates.add_working_days("2026-12-24", 1, holidays=["2026-12-25"])["date"] == "2026-12-28"
