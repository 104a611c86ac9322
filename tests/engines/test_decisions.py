"""Spec 9.2, evaluation: the formula to the letter, monotone in every factor, and a person where the settings say so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.decisions import Decision, DecisionLimits, DecisionScores
from engines.decisions import COSTS, WEIGHTS, composite, evaluate
from tests.engines.factories import opportunity, remedy

SHARES = st.floats(0, 1)
SCORES = st.builds(DecisionScores, value=SHARES, risk=SHARES, complexity=SHARES, alignment=SHARES, resources=SHARES)


def decide(free: float = 1.0, *, limits: DecisionLimits | None = None, **fields: Any) -> Decision:
    return evaluate(opportunity(**fields), free, limits)


def test_the_formula_is_the_specs() -> None:
    # By hand: .8*.35 + .9*.25 + .7*.20 + .6*.15 + .5*.05 = .28 + .225 + .14 + .09 + .025 = .76
    scores = DecisionScores(value=0.8, risk=0.1, complexity=0.3, alignment=0.6, resources=0.5)

    assert composite(scores) == 0.76


def test_the_weights_sum_to_one() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)


@given(SCORES)
def test_the_composite_is_a_share(scores: DecisionScores) -> None:
    assert 0 <= composite(scores) <= 1


@given(SCORES, st.sampled_from(sorted(WEIGHTS)), SHARES)
def test_the_composite_is_monotone_in_every_factor(scores: DecisionScores, factor: str, other: float) -> None:
    old = scores.model_dump()[factor]
    assume(other >= old)
    changed = composite(scores.model_copy(update={factor: other}))

    assert changed <= composite(scores) if factor in COSTS else changed >= composite(scores)


def test_a_composite_on_the_threshold_is_approved() -> None:
    # .8*.35 + .6*.25 + .6*.2 + .6667*.15 + 1*.05 = .7
    on_it = decide(
        estimated_value=0.8, estimated_risk=0.4, estimated_complexity=0.4, strategic_alignment=2 / 3, free=1.0
    )

    assert on_it.composite == 0.7
    assert on_it.approved
    assert on_it.confidence == 0.7


def test_a_composite_below_the_threshold_is_refused_with_the_rest_as_confidence() -> None:
    refused = decide(estimated_value=0.1)

    assert not refused.approved
    assert refused.confidence == pytest.approx(1 - refused.composite)
    assert "value" in refused.recommendation
    assert not refused.needs_approval


def test_a_confident_decision_asks_nobody() -> None:
    sure = decide(estimated_value=1, estimated_risk=0.05, estimated_complexity=0.1, strategic_alignment=0.8)

    assert sure.approved
    assert sure.composite >= 0.85
    assert not sure.needs_approval
    assert "Nobody needs to be asked." in sure.reasoning


def test_between_the_thresholds_a_person_is_asked() -> None:
    asked = decide()

    assert asked.approved
    assert 0.7 <= asked.composite < 0.85
    assert asked.needs_approval


def test_high_risk_asks_a_person_whatever_the_composite() -> None:
    limits = DecisionLimits(auto_approve_threshold=0.7, require_human_approval_above_risk=0.2)
    fields = {"estimated_value": 1.0, "estimated_complexity": 0.0, "strategic_alignment": 1.0}

    assert decide(limits=limits, estimated_risk=0.21, **fields).needs_approval
    assert not decide(limits=limits, estimated_risk=0.2, **fields).needs_approval


def test_a_doubt_whether_callers_are_kept_asks_a_person_whatever_the_composite() -> None:
    doubtful = remedy(doubts=("text.run, input $.a: may be refused now.",))
    decision = decide(estimated_value=1, estimated_risk=0, estimated_complexity=0, remedy=doubtful)

    assert decision.needs_approval
    assert "callers may not be kept: text.run, input $.a: may be refused now" in decision.reasoning[-1]


def test_a_version_that_nothing_can_try_first_asks_a_person_and_promises_no_way_back_that_is_ready() -> None:
    alone = remedy(side_by_side=False)
    decision = decide(estimated_value=1, estimated_risk=0, estimated_complexity=0, remedy=alone)

    assert decision.needs_approval
    assert "text@1.1.0 cannot run beside what it replaces" in decision.reasoning[-1]
    assert not any("stays ready" in condition for condition in decision.conditions)


def test_without_a_remedy_nothing_is_approved() -> None:
    stuck = decide(remedy=None, estimated_value=1, estimated_risk=0, estimated_complexity=0, strategic_alignment=1)

    assert stuck.composite == 1
    assert not stuck.approved
    assert "publish a package" in stuck.recommendation


@pytest.mark.parametrize(("free", "expected"), [(-1.0, 0.0), (0.3, 0.3), (7.0, 1.0)])
def test_free_resources_outside_the_range_are_brought_back(free: float, expected: float) -> None:
    assert decide(free).scores.resources == expected


def test_every_factor_is_explained_and_a_replacement_names_what_stays_ready() -> None:
    decision = decide()

    assert len(decision.reasoning) == len(WEIGHTS) + 2
    assert "text@1.0.0 stays ready to take its callers back." in decision.conditions


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"estimated_value": 0.0}, "value"),
        ({"estimated_risk": 1.0, "estimated_value": 0.7}, "risk"),
        ({"estimated_complexity": 1.0, "estimated_value": 0.6}, "complexity"),
    ],
)
def test_the_recommendation_is_about_what_costs_most(fields: dict[str, float], word: str) -> None:
    decision = evaluate(opportunity(**fields), 0.5, DecisionLimits(approve_at=1, auto_approve_threshold=1))

    assert word in decision.recommendation
