"""Spec 2.1, requirement parsing: words that mean the same meet, and a fit needs a word the package is called by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.words import Profile, fit, profile, rarity, stem, words
from tests.engines.factories import contract, method


@pytest.mark.parametrize(
    "family",
    [
        ("convert", "converts", "converted", "converting"),
        ("currency", "currencies"),
        ("price", "prices", "pricing", "priced"),
        ("plan", "plans", "planned", "planning"),
        ("match", "matches", "matching"),
        ("class", "classes"),
        ("translate", "translates", "translating"),
    ],
)
def test_forms_of_a_word_meet(family: tuple[str, ...]) -> None:
    assert len({stem(word) for word in family}) == 1


@pytest.mark.parametrize(("one", "other"), [("status", "state"), ("euro", "europe"), ("bus", "bu"), ("thing", "thin")])
def test_different_words_stay_apart(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_small_words_and_numbers_do_not_count() -> None:
    assert words("Please convert 100 Euros to US-Dollars, would you?") == {"convert", "euro", "dollar"}


def test_names_are_read_as_words() -> None:
    assert words("exchange_rates") == words("exchange rates")


@given(st.text())
def test_any_text_has_words(text: str) -> None:
    assert all(word == word.casefold() for word in words(text))


def test_a_profile_tells_names_from_descriptions() -> None:
    own = profile(
        contract(
            "currency",
            description="Converts amounts of money",
            keywords=["exchange"],
            provided_interfaces=[
                {"name": "currency", "version": "1.0.0", "methods": [method("rate", description="Look up a course")]}
            ],
        )
    )

    assert own.strong == words("currency exchange rate")
    assert own.weak == words("converts amounts money look course")


def test_a_fit_needs_a_word_the_package_is_called_by() -> None:
    own = Profile(frozenset({"currency"}), frozenset({"convert"}))

    assert fit(frozenset({"convert"}), own, {}) == 0
    assert fit(frozenset({"currency"}), own, {}) == 1
    assert fit(frozenset({"currency", "convert"}), own, {}) == 0.75
    assert fit(frozenset(), own, {}) == 0


def test_a_word_of_many_plugins_tells_little() -> None:
    units, currency = Profile(frozenset({"convert", "unit"}), frozenset()), Profile(frozenset({"convert"}), frozenset())
    rare = rarity([("units", units), ("units", units), ("currency", currency)])

    assert rare == {"convert": 0.5, "unit": 1.0}
    assert fit(frozenset({"convert", "mile"}), currency, rare) == pytest.approx(1 / 3)


@given(st.frozensets(st.sampled_from("abcdefgh")), st.frozensets(st.sampled_from("abcdefgh")))
def test_a_fit_is_a_share(asked: frozenset[str], strong: frozenset[str]) -> None:
    assert 0 <= fit(asked, Profile(strong, frozenset()), {}) <= 1
