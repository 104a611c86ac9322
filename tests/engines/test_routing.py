"""Assignment: a growing share never moves anybody back, and serves somebody however few callers there are."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.routing import HashId, PluginVersion, Route, VariantName
from domain.versions import SemanticVersion
from engines.placement import slot
from engines.routing import FEW, Router, cohort_size, ranked

USERS = [f"user-{number}" for number in range(20_000)]
OLD = PluginVersion(plugin="text", version=SemanticVersion("1.0.0"), digest="a" * 64)
NEW = PluginVersion(plugin="text", version=SemanticVersion("1.1.0"), digest="b" * 64)


def choose(routed: Route, unit: str, caller: str, caller_hash: str = "") -> VariantName | None:
    return Router(routed).choose(unit, caller, caller_hash)


def route(share: float, *, salt: str = "rollout-1", control: PluginVersion | None = OLD, **fields: object) -> Route:
    return Route.model_validate(
        {"capability": "text", "control": control, "candidate": NEW, "share": share, "salt": salt, **fields}
    )


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


FEW_CALLERS = [f"caller-{number}" for number in range(7)]


def served(share: float, callers: list[str], known: list[str]) -> set[str]:
    """Return whom the candidate serves, where `known` called before the rollout began."""
    routed = route(share, population=ranked("rollout-1", known))
    return {caller for caller in callers if choose(routed, f"name of {caller}", "", caller) is VariantName.CANDIDATE}


@pytest.mark.parametrize("callers", [1, 2, 5, 20, 199])
def test_a_share_of_few_callers_is_never_empty_and_never_too_large(callers: int) -> None:
    known = [f"caller-{number}" for number in range(callers)]
    for percent in (1, 5, 25, 50, 99):
        assert len(served(percent / 100, known, known)) == -(-percent * callers // 100)
    assert not served(0, known, known)
    assert served(1, known, known) == set(known)


def test_ranks_are_nested_so_that_a_growing_share_keeps_all_it_has() -> None:
    growth = [served(share, FEW_CALLERS, FEW_CALLERS) for share in (0.01, 0.2, 0.5, 0.8, 1)]
    assert all(before < after for before, after in pairwise(growth))


def test_who_comes_later_is_placed_by_slot_and_moves_nobody() -> None:
    later = [f"later-{number}" for number in range(1_000)]
    before = served(0.25, FEW_CALLERS, FEW_CALLERS)
    both = served(0.25, [*FEW_CALLERS, *later], FEW_CALLERS)
    assert both - set(later) == before
    assert {caller for caller in later if slot("rollout-1", f"name of {caller}") < 2_500} == both & set(later)


def test_two_rollouts_rank_their_callers_differently() -> None:
    assert ranked("one", FEW_CALLERS) != ranked("another", FEW_CALLERS)
    assert ranked("one", [*FEW_CALLERS, *FEW_CALLERS]) == ranked("one", FEW_CALLERS)


def test_many_callers_are_not_ranked() -> None:
    assert len(ranked("salt", map(str, range(FEW - 1)))) == FEW - 1
    assert ranked("salt", map(str, range(FEW))) == ()


@pytest.mark.parametrize(("share", "callers", "size"), [(0, 5, 0), (0.01, 1, 1), (0.1, 30, 3), (0.3, 10, 3), (1, 7, 7)])
def test_a_cohort_is_rounded_up_and_no_rounding_error_adds_anybody(share: float, callers: int, size: int) -> None:
    assert cohort_size(share, callers) == size


@pytest.mark.parametrize("hash_id", list(HashId))
def test_a_route_says_how_it_places(hash_id: HashId) -> None:
    chosen = {u for u in USERS if choose(route(0.3, hash_id=hash_id), u, u) is VariantName.CANDIDATE}
    assert chosen == {
        user for user in USERS if slot("rollout-1", user, hash_id) < 3_000 + (hash_id is HashId.GROWTHBOOK)
    }
    assert len(chosen) / len(USERS) == pytest.approx(0.3, abs=0.015)
