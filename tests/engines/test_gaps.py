"""Spec 2.1 to 2.3, gap analysis: what is wanted is found, what only passed is not, and the score is the spec's.

References: scores by hand; `scipy.stats.binomtest(...).proportion_ci(method="wilson")` for the failure rate.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from domain.calls import CapabilityRequest, RequestKind
from domain.gaps import Bucket, GapCategory, GapFactors, GapLimits, GapSource
from domain.opportunities import Landscape
from engines.gap_categories import Evidence, classify
from engines.gaps import bucket_of, find_gaps, priority_score, wilson_lower
from engines.words import words
from tests.engines.factories import method, package, request, usage

SHARES = st.floats(0, 1)
FACTORS = st.builds(GapFactors, **dict.fromkeys(GapFactors.model_fields, SHARES))

CURRENCY = package("currency", keywords=["euro", "dollar", "exchange"], description="Converts amounts of money")
UNITS = package("units", keywords=["mile", "kilometre"], description="Converts lengths and weights")
TEXT = package("text", keywords=["word"], description="Works on plain text")
LANDSCAPE = Landscape(market=(CURRENCY, UNITS, TEXT), installed=(TEXT,))


def asked(*texts: str, **fields: Any) -> list[CapabilityRequest]:
    return [request(number, text, **fields) for number, text in enumerate(texts)]


EUROS = asked("convert euros to dollars", "what are 20 euros in dollars?", "euro dollar exchange please")


def test_the_score_is_the_specs() -> None:
    # By hand: .5*.8*.30 + (.1+.4)*.25 + .9*.6*.25 + (1-.3)*.20 = .12 + .125 + .135 + .14 = .52
    factors = GapFactors(
        user_request_frequency=0.5,
        user_satisfaction_impact=0.8,
        revenue_impact=0.1,
        efficiency_gain=0.4,
        roadmap_alignment=0.9,
        competitive_importance=0.6,
        implementation_complexity=0.3,
    )

    assert priority_score(factors) == pytest.approx(0.52)
    assert bucket_of(priority_score(factors)) is Bucket.MEDIUM


def test_the_score_that_would_be_above_one_is_cut() -> None:
    best = GapFactors.model_validate({**dict.fromkeys(GapFactors.model_fields, 1.0), "implementation_complexity": 0.0})

    assert priority_score(best) == 1


@given(FACTORS)
def test_the_score_is_a_share(factors: GapFactors) -> None:
    assert 0 <= priority_score(factors) <= 1


@given(FACTORS, st.sampled_from(sorted(GapFactors.model_fields)), SHARES)
def test_the_score_is_monotone_in_every_factor(factors: GapFactors, name: str, other: float) -> None:
    low, high = sorted((factors.model_dump()[name], other))
    before, after = (priority_score(factors.model_copy(update={name: value})) for value in (low, high))

    assert after <= before + 1e-12 if name == "implementation_complexity" else after >= before - 1e-12


@pytest.mark.parametrize(
    ("score", "bucket"),
    [
        (1, Bucket.CRITICAL),
        (0.9, Bucket.CRITICAL),
        (0.8999, Bucket.HIGH),
        (0.7, Bucket.HIGH),
        (0.5, Bucket.MEDIUM),
        (0.4999, Bucket.LOW),
        (0, Bucket.LOW),
    ],
)
def test_the_buckets_are_the_specs(score: float, bucket: Bucket) -> None:
    assert bucket_of(score) is bucket


@pytest.mark.parametrize(("bad", "n"), [(3, 10), (0, 5), (5, 5), (1, 1000)])
def test_the_failure_rates_lower_end_is_wilsons(bad: int, n: int) -> None:
    assert wilson_lower(bad, n) == pytest.approx(binomtest(bad, n).proportion_ci(method="wilson").low, abs=1e-12)
    assert wilson_lower(0, 0) == 0


def test_requests_for_the_same_thing_in_other_words_are_one_gap() -> None:
    (gap,) = find_gaps(EUROS, [], LANDSCAPE)

    assert gap.wanted_capability == "currency"
    assert (gap.frequency, gap.callers, gap.source) == (3, 1, GapSource.USER_REQUEST)
    assert gap.examples == ("request-0", "request-1", "request-2")
    assert gap.last_seen == EUROS[-1].requested_at


def test_a_lack_that_passes_is_no_gap() -> None:
    assert find_gaps(EUROS[:2], [], LANDSCAPE) == []
    assert len(find_gaps(EUROS[:2], [], LANDSCAPE, GapLimits(min_occurrences=2))) == 1


def test_two_lacks_are_two_gaps() -> None:
    miles = [request(10 + number, "miles in kilometres") for number in range(4)]

    assert {gap.wanted_capability for gap in find_gaps([*EUROS, *miles], [], LANDSCAPE)} == {"currency", "units"}


def test_a_missing_tool_is_found_by_its_name_and_joins_what_was_asked_in_words() -> None:
    calls = [request(20 + number, "currency__rate", RequestKind.UNKNOWN_TOOL) for number in range(3)]
    (called,) = find_gaps(calls, [], LANDSCAPE)
    (both,) = find_gaps([*EUROS, *calls], [], LANDSCAPE)

    assert (called.category, called.source) == (GapCategory.TOOL, GapSource.TASK_FAILURE)
    assert (called.wanted_capability, called.wanted_method) == ("currency", "rate")
    assert both.frequency == 6
    assert both.id == called.id


def test_what_nothing_offers_is_still_a_gap_without_a_capability() -> None:
    wishes = asked("book a train ticket", "book train tickets", "booking a train ticket")
    (gap,) = find_gaps(wishes, [], LANDSCAPE)

    assert gap.wanted_capability is None
    assert set(gap.keywords) == words("book train ticket")
    assert gap.factors.implementation_complexity == 1
    assert gap.factors.competitive_importance == 0


def test_what_an_installed_plugin_does_is_no_gap() -> None:
    assert find_gaps(asked(*["count the words of a text"] * 5), [], LANDSCAPE) == []


def test_a_method_that_fails_is_a_gap_in_the_capability_that_runs() -> None:
    (gap,) = find_gaps([], [usage("text", n=100, bad=60, callers=4)], LANDSCAPE)

    assert (gap.wanted_capability, gap.wanted_method) == ("text", "run")
    assert (gap.category, gap.source) == (GapCategory.SKILL, GapSource.TASK_FAILURE)
    assert gap.frequency == 60


@pytest.mark.parametrize("row", [usage(n=2, bad=2), usage(n=1_000, bad=30), usage(n=10, bad=0), usage(n=0, bad=0)])
def test_a_few_failures_are_no_gap(row: Any) -> None:
    assert find_gaps([], [row], LANDSCAPE) == []


def test_what_the_owner_wants_more_of_ranks_first() -> None:
    miles = [request(10 + number, "miles in kilometres") for number in range(3)]
    strategic = LANDSCAPE.model_copy(update={"strategic_keywords": ("kilometre",)})

    assert [gap.wanted_capability for gap in find_gaps([*EUROS, *miles], [], strategic)] == ["units", "currency"]


def test_more_requests_of_more_callers_never_rank_lower() -> None:
    (few,) = find_gaps(EUROS, [usage(callers=10)], LANDSCAPE)
    more = [*EUROS, *(request(30 + number, "euros to dollars", caller=f"c{number}") for number in range(5))]
    (many,) = find_gaps(more, [usage(callers=10)], LANDSCAPE)

    assert many.score > few.score


@given(st.permutations([*EUROS, *(request(40 + n, "weather in Paris tomorrow") for n in range(4))]))
def test_the_order_of_the_requests_changes_nothing(shuffled: list[CapabilityRequest]) -> None:
    assert find_gaps(shuffled, [], LANDSCAPE) == find_gaps(sorted(shuffled, key=lambda one: one.id), [], LANDSCAPE)


def test_of_a_package_with_two_capabilities_the_one_that_was_asked_for_is_wanted() -> None:
    office = package(
        "office",
        keywords=["document"],
        provided_interfaces=[
            {"name": "mail", "version": "1.0.0", "methods": [method("send", description="Send a document by mail")]},
            {"name": "sheets", "version": "1.0.0", "methods": [method("sum", description="Sum columns of a document")]},
        ],
    )
    (gap,) = find_gaps(asked(*["sum the columns of this document"] * 3), [], Landscape(market=(office,)))

    assert gap.wanted_capability == "sheets"


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("make it faster", GapCategory.PERFORMANCE),
        ("validate and redact secrets", GapCategory.SAFETY),
        ("the answers are wrong", GapCategory.QUALITY),
        ("connect to slack", GapCategory.INTEGRATION),
        ("know the tax law", GapCategory.KNOWLEDGE),
        ("convert a pdf", GapCategory.TOOL),
        ("play chess", GapCategory.SKILL),
    ],
)
def test_each_kind_of_the_matrix_is_told_by_its_words(text: str, category: GapCategory) -> None:
    found, reason = classify(Evidence(words(text), called=False, exists=False, failure_rate=0.0))

    assert found is category
    assert reason.endswith(".")


@pytest.mark.parametrize(
    ("evidence", "category"),
    [
        (Evidence(words("connect slack"), called=True, exists=False, failure_rate=0.0), GapCategory.TOOL),
        (Evidence(words("text reverse"), called=True, exists=True, failure_rate=0.0), GapCategory.SKILL),
        (Evidence(frozenset(), called=False, exists=True, failure_rate=0.2), GapCategory.QUALITY),
        (Evidence(frozenset(), called=False, exists=True, failure_rate=0.5), GapCategory.SKILL),
    ],
)
def test_facts_come_before_words(evidence: Evidence, category: GapCategory) -> None:
    assert classify(evidence)[0] is category
