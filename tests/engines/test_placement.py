"""Placement: pinned by id, even, independent between salts, and the same as elsewhere where it says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from domain.routing import HashId
from engines.placement import SLOTS, slot, slots_of

USERS = [f"user-{number}" for number in range(20_000)]
DATA = Path(__file__).resolve().parents[1] / "data" / "growthbook_hashes.json"
GROWTHBOOK = json.loads(DATA.read_text(encoding="utf-8"))["hashes"]


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
    assert HashId("xxh3-64/1") is HashId.XXH3
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


@pytest.mark.parametrize(
    ("share", "slots"), [(0.0, 0), (0.00004, 0), (0.0001, 1), (0.05, 500), (1 / 3, 3333), (1, SLOTS)]
)
def test_a_share_is_so_many_slots(share: float, slots: int) -> None:
    assert slots_of(share) == slots


@pytest.mark.parametrize(("seed", "value", "expected"), GROWTHBOOK)
def test_users_lie_where_growthbook_puts_them(seed: str, value: str, expected: float) -> None:
    assert slot(seed, value, HashId.GROWTHBOOK) / SLOTS == expected


@pytest.mark.parametrize(("group", "unit", "place"), [("gr1", "123", 73), ("groupX", "999", 25)])
def test_users_lie_where_unleash_puts_them(group: str, unit: str, place: int) -> None:
    # The two values that Unleash's own SDKs are tested with; a user is in when the place is at most the percentage.
    found = slot(group, unit, HashId.UNLEASH)
    assert found < slots_of(place / 100, HashId.UNLEASH)
    assert found >= slots_of((place - 1) / 100, HashId.UNLEASH)


def test_growthbook_counts_the_end_of_a_share_in() -> None:
    assert slots_of(0.05, HashId.GROWTHBOOK) == 501
    assert slots_of(0, HashId.GROWTHBOOK) == 0
    assert slots_of(1, HashId.GROWTHBOOK) == SLOTS


@pytest.mark.parametrize("hash_id", list(HashId))
def test_all_and_nobody_are_the_same_by_every_id(hash_id: HashId) -> None:
    assert all(0 <= slot("salt", user, hash_id) < slots_of(1, hash_id) for user in USERS[:2_000])
    assert slots_of(0, hash_id) == 0
