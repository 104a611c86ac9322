"""Spec 4.1 and 5.1, assignment: placement is pinned, even, independent between salts, and never moves anybody back."""

from __future__ import annotations

from itertools import pairwise

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from domain.routing import PluginVersion, Route, VariantName
from domain.versions import SemanticVersion
from engines.routing import HASH_ID, SLOTS, choose, slot, slots_of

USERS = [f"user-{number}" for number in range(20_000)]
OLD = PluginVersion(plugin="text", version=SemanticVersion("1.0.0"), digest="a" * 64)
NEW = PluginVersion(plugin="text", version=SemanticVersion("1.1.0"), digest="b" * 64)


def route(share: float, *, salt: str = "rollout-1", control: PluginVersion | None = OLD, **fields: object) -> Route:
    return Route.model_validate(
        {"capability": "text", "control": control, "candidate": NEW, "share": share, "salt": salt, **fields}
    )


@pytest.mark.parametrize(
    ("salt", "unit", "expected"),
    [
        ("", "", 2546),
        ("rollout-1", "alice", 4918),
        ("rollout-1", "bob", 1758),
        ("rollout-2", "alice", 344),
        ("salz", "Jürgen 🦀", 2001),
        ("s", "x" * 1000, 9880),
    ],
)
def test_placement_is_pinned_so_that_no_release_moves_a_running_rollout(salt: str, unit: str, expected: int) -> None:
    assert HASH_ID == "xxh3-64/1"
    assert slot(salt, unit) == expected


def test_the_hash_is_the_published_xxh3() -> None:
    # xxHash's own specification gives this value for empty input and seed 0.
    assert xxhash.xxh3_64_intdigest(b"", seed=0) == 0x2D06800538D394C2


@given(st.text(), st.text())
def test_every_text_has_a_slot(salt: str, unit: str) -> None:
    assert 0 <= slot(salt, unit) < SLOTS


def test_a_lone_surrogate_has_a_slot_too() -> None:
    assert 0 <= slot("salt", "\ud800") < SLOTS


@pytest.mark.parametrize("salt", ["a", "b", "rollout-upgrade-text"])
def test_slots_are_even(salt: str) -> None:
    bins = [0] * 50
    for user in USERS:
        bins[slot(salt, user) * 50 // SLOTS] += 1

    assert chisquare(bins).pvalue > 0.001


def test_two_salts_place_independently() -> None:
    table = [[0, 0], [0, 0]]
    for user in USERS:
        table[slot("first", user) < 1_000][slot("second", user) < 1_000] += 1

    assert chi2_contingency(table, correction=False).pvalue > 0.001


def test_a_growing_share_moves_nobody_back() -> None:
    chosen = [
        {user for user in USERS if choose(route(share), user, user) is VariantName.CANDIDATE}
        for share in (0.0, 0.05, 0.25, 0.5, 1.0)
    ]

    assert all(before < after for before, after in pairwise(chosen))
    assert not chosen[0]
    assert len(chosen[-1]) == len(USERS)
    assert len(chosen[1]) / len(USERS) == pytest.approx(0.05, abs=0.006)


@given(st.floats(0, 1), st.floats(0, 1), st.text())
def test_a_larger_share_keeps_whom_a_smaller_one_served(first: float, second: float, user: str) -> None:
    small, large = sorted((first, second))
    if choose(route(small), user, user) is VariantName.CANDIDATE:
        assert choose(route(large), user, user) is VariantName.CANDIDATE


def test_an_allowed_caller_is_served_by_the_candidate_at_zero_percent() -> None:
    internal = route(0.0, allowed_callers=("owner",))

    assert choose(internal, "owner", "owner") is VariantName.CANDIDATE
    assert choose(internal, "guest", "guest") is VariantName.CONTROL


def test_the_allow_list_is_about_the_caller_and_not_about_the_unit() -> None:
    internal = route(0.0, allowed_callers=("owner",), unit="session")

    assert choose(internal, "session-1", "owner") is VariantName.CANDIDATE
    assert choose(internal, "owner", "guest") is VariantName.CONTROL


def test_a_new_capability_is_nobodys_outside_its_share() -> None:
    assert choose(route(0.0, control=None), "guest", "guest") is None
    assert choose(route(1.0, control=None), "guest", "guest") is VariantName.CANDIDATE


def test_without_a_candidate_the_control_answers_even_an_allowed_caller() -> None:
    settled = route(1.0, candidate=None, allowed_callers=("owner",))

    assert choose(settled, "owner", "owner") is VariantName.CONTROL
    assert choose(route(1.0, candidate=None, control=None), "owner", "owner") is None


@pytest.mark.parametrize(
    ("share", "slots"), [(0.0, 0), (0.00004, 0), (0.0001, 1), (0.05, 500), (1 / 3, 3333), (1, SLOTS)]
)
def test_a_share_is_so_many_slots(share: float, slots: int) -> None:
    assert slots_of(share) == slots
