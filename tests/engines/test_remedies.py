"""Spec 9.1, analysis: which package remedies a finding, and that the same market always gives the same answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contracts import PluginPackage
from domain.opportunities import Landscape, Remedy
from domain.routing import Route, RoutingTable
from domain.versions import SemanticVersion
from engines.remedies import new_capability, newer_version, package_of, running_contract
from tests.engines.factories import digest_of, gap, method, package, version_of

RUNNING = package("text", "1.0.0")
VERSIONS = st.builds("{}.{}.{}{}".format, *[st.integers(0, 3)] * 3, st.sampled_from(["", "-beta.1"]))


def landscape(*market: PluginPackage, route: Route | None = None) -> Landscape:
    table = RoutingTable().with_route(route or Route(capability="text", control=version_of(RUNNING)))
    return Landscape(market=market, installed=(RUNNING,), routes=table)


def methods(*names: str, capability: str = "text") -> list[dict[str, Any]]:
    return [{"name": capability, "version": "1.0.0", "methods": [method(name) for name in names]}]


def chosen(remedy: Remedy | None) -> str | None:
    return remedy.package.id if remedy else None


def test_a_remedy_names_the_package_what_it_replaces_and_why() -> None:
    better = package("text", "1.1.0", release_notes="Twice as fast.")

    remedy = newer_version(landscape(better), "text")

    assert remedy == Remedy(
        capability="text", package=version_of(better), replaces=version_of(RUNNING), summary="Twice as fast."
    )


def test_a_release_without_notes_is_described_by_its_contract() -> None:
    remedy = newer_version(landscape(package("text", "1.1.0")), "text")

    assert remedy is not None
    assert remedy.summary == "The text plugin"


@pytest.mark.parametrize(
    "market",
    [
        [],
        [package("text", "1.0.0")],
        [package("text", "0.9.0")],
        [package("text", "1.1.0-beta.1")],
        [package("other", "1.1.0", provided_interfaces=methods("run"))],
        [package("text", "1.1.0", provided_interfaces=methods("run", capability="prose"))],
        [package("text", "1.1.0", provided_interfaces=methods("walk"))],
    ],
    ids=["empty", "the same", "older", "pre-release", "another plugin", "capability gone", "method gone"],
)
def test_what_is_no_newer_version(market: list[PluginPackage]) -> None:
    assert newer_version(landscape(*market), "text") is None


@pytest.mark.parametrize("route", [Route(capability="dates", control=version_of(RUNNING)), Route(capability="text")])
def test_a_capability_that_does_not_run_has_no_newer_version(route: Route) -> None:
    assert newer_version(landscape(package("text", "1.1.0"), route=route), "text") is None


def test_a_wanted_method_must_come_beside_those_in_use() -> None:
    lacking = package("text", "1.2.0")
    having = package("text", "1.1.0", provided_interfaces=methods("run", "count"))

    assert chosen(newer_version(landscape(lacking, having), "text", "count")) == "text@1.1.0"
    assert newer_version(landscape(lacking), "text", "count") is None


@given(st.lists(VERSIONS, max_size=6, unique=True), st.randoms(use_true_random=False))
def test_the_chosen_version_is_above_the_running_one_and_not_a_matter_of_order(
    versions: list[str], chance: Any
) -> None:
    market = [package("text", version) for version in versions]
    shuffled = list(market)
    chance.shuffle(shuffled)
    remedy = newer_version(landscape(*market), "text")

    assert remedy == newer_version(landscape(*shuffled), "text")
    releases = [SemanticVersion(version) for version in versions if "-" not in version]
    better = [version for version in releases if version > RUNNING.contract.version]
    near = [version for version in better if version.numbers[0] == 1]
    assert (remedy.package.version if remedy else None) == max(near or better, default=None)


def test_a_new_capability_is_given_to_the_plugin_that_fits_the_words_best() -> None:
    fitting = package("currency", keywords=["euro", "dollar"])
    other = package("units", provided_interfaces=methods("run", capability="currency"), keywords=["metre"])
    wanted = gap().model_copy(update={"wanted_capability": "currency", "keywords": ("euro", "dollar")})

    for market in ((fitting, other), (other, fitting)):
        remedy = new_capability(landscape(*market), wanted)
        assert remedy is not None
        assert (remedy.package.id, remedy.replaces) == ("currency@1.0.0", None)


def test_a_plugin_with_the_wanted_method_comes_before_one_that_fits_the_words() -> None:
    fitting = package("currency", keywords=["euro"])
    able = package("exchange", provided_interfaces=methods("convert", capability="currency"))
    wanted = gap().model_copy(
        update={"wanted_capability": "currency", "wanted_method": "convert", "keywords": ("euro",)}
    )

    assert chosen(new_capability(landscape(fitting, able), wanted)) == "exchange@1.0.0"


def test_between_plugins_that_fit_alike_the_one_that_risks_less_is_taken() -> None:
    bold = package(
        "a_money", provided_interfaces=methods("run", capability="currency"), security_profile={"subprocess": True}
    )
    careful = package("b_money", provided_interfaces=methods("run", capability="currency"))
    wanted = gap().model_copy(update={"wanted_capability": "currency"})

    assert chosen(new_capability(landscape(bold, careful), wanted)) == "b_money@1.0.0"


def test_the_newest_release_of_the_plugin_is_taken() -> None:
    market = [package("currency", version) for version in ("1.9.0", "1.10.0", "2.0.0-beta.1")]
    wanted = gap().model_copy(update={"wanted_capability": "currency"})

    assert chosen(new_capability(landscape(*market), wanted)) == "currency@1.10.0"


@pytest.mark.parametrize("wanted", [None, "text", "weather"], ids=["unknown", "runs already", "nobody offers it"])
def test_what_needs_or_finds_no_new_capability(wanted: str | None) -> None:
    lack = gap().model_copy(update={"wanted_capability": wanted})

    assert new_capability(landscape(package("currency"), package("text", "1.1.0")), lack) is None


def test_between_packages_of_one_version_the_digest_decides() -> None:
    one = package("currency")
    other = one.model_copy(update={"digest": digest_of("another build")})
    wanted = gap().model_copy(update={"wanted_capability": "currency"})

    first = new_capability(landscape(one, other), wanted)

    assert first is not None
    assert first == new_capability(landscape(other, one), wanted)
    assert first.package.digest == min(one.digest, other.digest)


def test_a_package_is_known_by_its_digest_whether_installed_or_on_offer() -> None:
    offered = package("currency")
    scene = landscape(offered)

    assert package_of(scene, version_of(RUNNING)) == RUNNING
    assert package_of(scene, version_of(offered)) == offered
    assert running_contract(scene, version_of(RUNNING)) == RUNNING.contract
    assert running_contract(scene, None) is None
    assert package_of(scene, version_of(package("weather"))) is None


def narrowed(**change: Any) -> list[dict[str, Any]]:
    """Return the interface `text` with a method whose input says more than before."""
    return [{"name": "text", "version": "1.1.0", "methods": [method(input_schema={"type": "object", **change})]}]


def test_a_version_that_breaks_its_callers_is_no_remedy_and_an_older_one_that_keeps_them_is() -> None:
    breaking = package("text", "1.2.0", provided_interfaces=narrowed(required=["language"]))
    keeping = package("text", "1.1.0")

    assert newer_version(landscape(breaking), "text") is None
    assert chosen(newer_version(landscape(breaking, keeping), "text")) == "text@1.1.0"


def test_what_is_not_proved_is_a_doubt_of_the_remedy() -> None:
    unproven = package("text", "1.1.0", provided_interfaces=narrowed(**{"x-limit": 3}))

    remedy = newer_version(landscape(unproven), "text")

    assert remedy is not None
    assert len(remedy.doubts) == 1
    assert "x-limit" in remedy.doubts[0]


@pytest.mark.parametrize(("old_is_safe", "new_is_safe"), [(True, True), (True, False), (False, True)])
def test_a_remedy_runs_beside_the_old_version_if_both_contracts_allow_it(
    *, old_is_safe: bool, new_is_safe: bool
) -> None:
    old = package("text", "1.0.0", hot_swap_safe=old_is_safe)
    place = landscape(package("text", "1.1.0", hot_swap_safe=new_is_safe)).model_copy(update={"installed": (old,)})

    remedy = newer_version(place, "text")

    assert remedy is not None
    assert remedy.side_by_side is (old_is_safe and new_is_safe)


def test_a_new_major_version_of_the_interface_may_break_and_is_a_doubt() -> None:
    interface = narrowed(required=["language"])
    interface[0]["version"] = "2.0.0"

    remedy = newer_version(landscape(package("text", "2.0.0", provided_interfaces=interface)), "text")

    assert remedy is not None
    assert "must have `language`" in remedy.doubts[0]
