"""Spec 6.1, dependency resolution: the newest that fits, an order to install, or a reason a person understands.

Reference: exhaustive search over all assignments for random small markets.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.contracts import PluginPackage
from domain.dependencies import DependencyResolution, ResolutionStatus
from domain.errors import InvalidInput
from engines.constraints import satisfies
from engines.dependencies import resolve
from tests.engines.factories import contract, method, package


def needs(name: str, version: str = "1.0.0", **dependencies: str) -> PluginPackage:
    return package(name, version, dependencies=dependencies)


def solve(root: PluginPackage, *market: PluginPackage) -> DependencyResolution:
    return resolve(root, market)


def test_a_package_that_needs_nothing_is_resolved() -> None:
    answer = solve(needs("app"))

    assert answer.status is ResolutionStatus.RESOLVED
    assert answer.assignments == {"app": "1.0.0"}
    assert answer.explanation == "app@1.0.0 needs nothing else."


def test_the_newest_version_within_the_range_is_taken() -> None:
    answer = solve(needs("app", lib="^1.0.0"), needs("lib", "1.9.0"), needs("lib", "1.10.0"), needs("lib", "2.0.0"))

    assert answer.assignments["lib"] == "1.10.0"


def test_the_search_goes_back_when_the_newest_leads_nowhere() -> None:
    answer = solve(
        needs("app", a="*", b="*"),
        needs("a", "2.0.0", c="^2.0.0"),
        needs("a", "1.0.0", c="^1.0.0"),
        needs("b", "1.0.0", c="^1.0.0"),
        needs("c", "1.5.0"),
        needs("c", "2.5.0"),
    )

    assert answer.assignments == {"app": "1.0.0", "a": "1.0.0", "b": "1.0.0", "c": "1.5.0"}


def test_every_plugin_is_installed_after_those_it_needs() -> None:
    answer = solve(needs("app", a="*", c="*"), needs("a", b="*"), needs("b", c="*"), needs("c"))

    assert answer.install_order == ("c", "b", "a", "app")


def test_what_is_installed_counts() -> None:
    answer = resolve(needs("app", lib="^1.0.0"), [], [contract("lib", "1.4.0")])

    assert answer.assignments["lib"] == "1.4.0"


def test_a_missing_plugin_is_named_with_who_needs_it() -> None:
    answer = solve(needs("app", a="*"), needs("a", ghost="^1.0.0"))

    assert answer.status is ResolutionStatus.NOT_FOUND
    assert answer.explanation == "a@1.0.0 needs ghost ^1.0.0, and no package of the registry provides it."


def test_a_conflict_is_explained() -> None:
    answer = solve(needs("app", lib="^3.0.0"), needs("lib", "1.0.0"), needs("lib", "2.0.0"))

    assert answer.status is ResolutionStatus.CONFLICT
    assert answer.explanation == "app@1.0.0 needs lib ^3.0.0, but there is only lib@2.0.0, lib@1.0.0."


def test_two_that_want_different_versions_are_a_conflict() -> None:
    answer = solve(
        needs("app", a="*", b="*"), needs("a", c="^1.0.0"), needs("b", c="^2.0.0"), needs("c"), needs("c", "2.0.0")
    )

    assert answer.status is ResolutionStatus.CONFLICT
    assert "b@1.0.0 needs c ^2.0.0, but c@1.0.0" in answer.explanation


def test_a_circle_is_a_conflict_with_its_path() -> None:
    answer = solve(needs("app", a="*"), needs("a", b="*"), needs("b", a="*"))

    assert answer.status is ResolutionStatus.CONFLICT
    assert answer.explanation.endswith(("a -> b -> a.", "b -> a -> b."))


def test_a_circle_is_avoided_where_another_version_allows_it() -> None:
    answer = solve(needs("app", a="*"), needs("a", "2.0.0", b="*"), needs("a", "1.0.0"), needs("b", a="*"))

    assert answer.assignments == {"app": "1.0.0", "a": "1.0.0"}


def test_a_plugin_that_needs_itself_is_a_circle() -> None:
    assert solve(needs("app", app="*")).status is ResolutionStatus.CONFLICT


def interface_of(plugin: str, version: str) -> PluginPackage:
    return package(plugin, provided_interfaces=[{"name": "clock", "version": version, "methods": [method()]}])


def test_a_required_interface_is_provided_by_whichever_plugin_fits() -> None:
    root = package("app", required_interfaces=[{"name": "clock", "constraint": "^2.0.0"}])
    answer = solve(root, interface_of("sundial", "1.0.0"), interface_of("quartz", "2.1.0"))

    assert answer.assignments == {"quartz": "1.0.0", "app": "1.0.0"}
    assert answer.install_order == ("quartz", "app")


def test_an_interface_that_nobody_provides_is_not_found() -> None:
    answer = solve(package("app", required_interfaces=[{"name": "clock"}]))

    assert answer.status is ResolutionStatus.NOT_FOUND
    assert "needs interface clock *" in answer.explanation


def test_a_dependency_that_is_no_range_is_refused() -> None:
    with pytest.raises(InvalidInput):
        solve(needs("app", lib="newest"), needs("lib"))


def test_a_search_without_end_gives_up_and_says_so() -> None:
    market = [needs(f"p{n}", f"{v}.0.0") for n in range(8) for v in range(1, 6)]
    market.append(needs("last", "1.0.0", p0="^9.0.0"))
    everything = {f"p{n}": "*" for n in range(8)}
    answer = solve(needs("app", **everything, zlast="*"), *market, needs("zlast", "1.0.0", p0="^9.0.0"))

    assert answer.status is ResolutionStatus.CONFLICT
    assert "attempts" in answer.explanation


NAMES = ("a", "b", "c")
RANGES = st.sampled_from(["*", "^1.0.0", "^2.0.0", ">=2.0.0", "<2.0.0"])
DEPENDENCIES = st.dictionaries(st.sampled_from(NAMES), RANGES, max_size=2)


@st.composite
def markets(draw: st.DrawFn) -> list[PluginPackage]:
    found = []
    for place, name in enumerate(NAMES):
        for version in draw(st.sets(st.sampled_from(["1.0.0", "2.0.0", "3.0.0"]), max_size=3)):
            wanted = {other: spec for other, spec in draw(DEPENDENCIES).items() if NAMES.index(other) > place}
            found.append(needs(name, version, **wanted))
    return found


@settings(max_examples=60)
@given(DEPENDENCIES, markets())
def test_it_resolves_exactly_what_an_exhaustive_search_resolves(wanted: dict[str, str], market: list[Any]) -> None:
    root = needs("app", **wanted)
    answer = solve(root, *market)
    by_name = [[None, *(each for each in market if each.contract.name == name)] for name in NAMES]
    sound = [choice for choice in product(*by_name) if _complete([root, *(each for each in choice if each)])]

    assert (answer.status is ResolutionStatus.RESOLVED) is bool(sound)
    if sound:
        chosen = [
            each for each in [root, *market] if answer.assignments.get(each.contract.name) == each.contract.version
        ]
        assert _complete(chosen)
        assert len(chosen) == len(answer.install_order)
    else:
        assert answer.explanation


def _complete(packages: list[PluginPackage]) -> bool:
    versions = {each.contract.name: each.contract.version for each in packages}
    return all(
        name in versions and satisfies(versions[name], constraint)
        for each in packages
        for name, constraint in each.contract.dependencies.items()
    )
