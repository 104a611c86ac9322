"""Spec 9.1, analysis phase: the right remedy for a finding, none faked, one idea for one remedy, in a stable order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contracts import PluginPackage
from domain.gaps import CapabilityGap
from domain.opportunities import Landscape, OpportunitySource, OpportunityStatus, UpgradeOpportunity
from domain.patterns import ArchitecturalPattern, PatternScores, PatternType, Priority
from domain.routing import Route, RoutingTable
from engines.decisions import evaluate
from engines.estimates import complexity_of, joined, risk_of, saturated, value_of_gap, value_of_pattern
from engines.gaps import find_gaps
from engines.opportunities import build
from tests.engines.factories import NOW, method, package, request, usage, version_of

RUNNING = package("text", "1.0.0")
CURRENCY = package("currency", keywords=["euro", "dollar"])


def landscape(*market: PluginPackage, **fields: Any) -> Landscape:
    table = RoutingTable().with_route(Route(capability="text", control=version_of(RUNNING)))
    return Landscape.model_validate({"market": market, "installed": (RUNNING,), "routes": table, **fields})


def bottleneck(capability: str = "text", impact: float = 0.8) -> ArchitecturalPattern:
    return ArchitecturalPattern(
        id=f"pattern-{capability}",
        type=PatternType.BOTTLENECK,
        rule="share_of_time",
        title=f"{capability}.run takes most of the time",
        priority=Priority.CRITICAL,
        frequency=100,
        affected_components=(capability,),
        scores=PatternScores(frequency=0.9, impact=impact, complexity=0.5, risk=0.5),
        opportunity_score=0.7,
    )


def gaps_in(scene: Landscape, text: str = "euros in dollars", count: int = 4) -> list[CapabilityGap]:
    return find_gaps([request(number, text) for number in range(count)], [], scene)


def chosen(*market: PluginPackage) -> str | None:
    (idea,) = build([bottleneck()], [], landscape(*market))
    return idea.remedy.package.id if idea.remedy else None


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (["1.0.1", "1.2.0", "1.10.0"], "text@1.10.0"),
        (["1.1.0", "2.0.0"], "text@1.1.0"),
        (["2.0.0", "3.0.0"], "text@3.0.0"),
        (["1.1.0-beta.1"], None),
        (["1.0.0", "0.9.0"], None),
        ([], None),
    ],
)
def test_a_bottleneck_is_remedied_by_the_newest_release_of_the_same_major(
    versions: list[str], expected: str | None
) -> None:
    market = [package("text", version) for version in versions]

    assert chosen(*market) == expected
    assert chosen(*reversed(market)) == expected


def test_a_version_that_lacks_a_method_in_use_is_no_remedy() -> None:
    poorer = package(
        "text", "1.1.0", provided_interfaces=[{"name": "text", "version": "1.1.0", "methods": [method("other")]}]
    )

    assert chosen(poorer) is None


def test_the_remedy_says_what_it_replaces() -> None:
    (idea,) = build([bottleneck()], [], landscape(package("text", "1.1.0", release_notes="Twice as fast.")))

    assert idea.remedy is not None
    assert idea.remedy.replaces == version_of(RUNNING)
    assert idea.status is OpportunityStatus.OPEN
    assert "Twice as fast." in idea.description


def test_without_a_remedy_it_is_work_for_a_person_and_nothing_is_faked() -> None:
    (idea,) = build([bottleneck()], [], landscape())

    assert (idea.remedy, idea.status) == (None, OpportunityStatus.NEEDS_PERSON)
    assert "a person has to" in idea.description


def test_a_pattern_in_code_is_work_for_a_person_even_with_a_newer_plugin() -> None:
    clone = bottleneck().model_copy(update={"type": PatternType.REPETITION})
    (idea,) = build([clone], [], landscape(package("text", "1.1.0")))

    assert idea.status is OpportunityStatus.NEEDS_PERSON


def test_a_gap_is_filled_by_the_package_that_provides_it() -> None:
    scene = landscape(CURRENCY, package("units"))
    (idea,) = build([], gaps_in(scene), scene)

    assert idea.remedy is not None
    assert (idea.remedy.package.id, idea.remedy.is_new) == ("currency@1.0.0", True)
    assert idea.source is OpportunitySource.GAP


def test_a_gap_that_nothing_fills_is_work_for_a_person() -> None:
    (idea,) = build([], gaps_in(landscape(), "book a train"), landscape())

    assert idea.status is OpportunityStatus.NEEDS_PERSON


def test_of_two_plugins_that_fill_a_gap_the_one_that_asks_for_less_is_taken() -> None:
    interface = [{"name": "currency", "version": "1.0.0", "methods": [method()]}]
    greedy = package(
        "a_currency",
        keywords=["euro", "dollar"],
        provided_interfaces=interface,
        security_profile={"network_hosts": ["a", "b"], "subprocess": True},
    )
    scene = landscape(greedy, CURRENCY)
    (idea,) = build([], gaps_in(scene), scene)

    assert idea.remedy is not None
    assert idea.remedy.package.plugin == "currency"


def test_a_failing_method_is_remedied_by_a_newer_version() -> None:
    scene = landscape(package("text", "1.0.1"))
    gaps = find_gaps([], [usage(n=100, bad=60)], scene)
    (idea,) = build([], gaps, scene)

    assert idea.remedy is not None
    assert idea.remedy.package.id == "text@1.0.1"


def test_findings_with_the_same_remedy_are_one_idea_with_all_evidence() -> None:
    scene = landscape(package("text", "1.1.0"))
    gaps = find_gaps([], [usage(n=100, bad=60)], scene)
    (idea,) = build([bottleneck()], gaps, scene)

    assert len(idea.evidence) == 2
    assert idea.estimated_value == max(value_of_pattern(bottleneck()), value_of_gap(gaps[0]))


def test_an_idea_keeps_its_id_and_what_was_decided_about_it() -> None:
    scene = landscape(package("text", "1.1.0"))
    (first,) = build([bottleneck()], [], scene)
    rejected = first.model_copy(update={"status": OpportunityStatus.REJECTED, "reason": "not now", "found_at": NOW})
    (again,) = build([bottleneck(impact=0.9)], [], scene, {first.id: rejected})

    assert again.id == first.id
    assert (again.status, again.reason, again.found_at) == (OpportunityStatus.REJECTED, "not now", NOW)
    assert again.estimated_value > first.estimated_value


def test_a_request_and_a_keyword_raise_alignment() -> None:
    scene = landscape(CURRENCY, package("text", "1.1.0"))
    plain = {idea.source: idea.strategic_alignment for idea in build([bottleneck()], gaps_in(scene), scene)}
    keyed = scene.model_copy(update={"strategic_keywords": ("text",)})
    strategic = {idea.source: idea.strategic_alignment for idea in build([bottleneck()], gaps_in(keyed), keyed)}

    assert plain == {OpportunitySource.PATTERN: 0.5, OpportunitySource.GAP: 0.75}
    assert strategic == {OpportunitySource.PATTERN: 1.0, OpportunitySource.GAP: 0.75}


def test_the_order_is_by_score_and_does_not_depend_on_the_order_of_findings() -> None:
    scene = landscape(CURRENCY, package("text", "1.1.0"))
    findings = [bottleneck(), bottleneck("dates"), bottleneck("mail", impact=0.1)]
    forward = build(findings, gaps_in(scene), scene)

    assert forward == build(findings[::-1], gaps_in(scene), scene)
    assert [idea.score for idea in forward] == sorted((idea.score for idea in forward), reverse=True)


def test_a_lasting_need_for_a_small_harmless_package_is_approved() -> None:
    scene = landscape(CURRENCY)
    (idea,) = build([], gaps_in(scene, count=6), scene)

    assert evaluate(idea, 1.0).approved


def test_estimates_by_hand() -> None:
    # size 50 kB = 1/2, one method = 1/21, nothing needed = 0: 1 - 1/2 * 20/21
    assert complexity_of(package(size_bytes=50_000)) == pytest.approx(1 - 0.5 * 20 / 21)
    # minor step .05, callers .05
    assert risk_of(package("text", "1.1.0"), RUNNING.contract) == pytest.approx(1 - 0.95 * 0.95)
    assert risk_of(package("text", "1.0.1"), RUNNING.contract) == pytest.approx(1 - 0.98 * 0.95)
    assert risk_of(package("text", "2.0.0"), RUNNING.contract) == pytest.approx(1 - 0.70 * 0.95)
    assert risk_of(CURRENCY, None) == pytest.approx(0.05)
    assert (joined(()), saturated(0, 5), saturated(5, 5)) == (0, 0, 0.5)


@given(st.integers(0, 10), st.integers(0, 10), st.booleans(), st.sampled_from(["none", "idempotent", "unsafe"]))
def test_risk_grows_with_everything_that_is_asked_for(hosts: int, more: int, subprocess: bool, effects: str) -> None:
    def risk(count: int, allowed: bool, side_effects: str) -> float:
        return risk_of(
            package(
                security_profile={"network_hosts": [f"h{n}" for n in range(count)], "subprocess": allowed},
                provided_interfaces=[
                    {"name": "text", "version": "1.0.0", "methods": [method(side_effects=side_effects)]}
                ],
            ),
            None,
        )

    assert 0 <= risk(hosts, subprocess, effects) <= risk(hosts + more, True, "unsafe") < 1


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_complexity_grows_with_size(first: int, second: int) -> None:
    small, large = sorted((first, second))

    assert complexity_of(package(size_bytes=small)) <= complexity_of(package(size_bytes=large)) < 1


def test_what_a_plugin_may_do_already_is_no_new_risk() -> None:
    profile = {"network_hosts": ["api.example.org"]}
    old = package("text", "1.0.0", security_profile=profile)
    new = package("text", "1.0.1", security_profile=profile)

    assert risk_of(new, old.contract) < risk_of(new, RUNNING.contract)


def test_every_idea_is_a_valid_record() -> None:
    scene = landscape(CURRENCY, package("text", "1.1.0"))

    for idea in build([bottleneck()], gaps_in(scene), scene):
        assert UpgradeOpportunity.model_validate_json(idea.model_dump_json()) == idea
