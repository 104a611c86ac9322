"""Spec 4.3, paired analysis: a candidate wins only with enough pairs, no breakage, no slowdown and the same answers.

References: McNemar's exact p-values by hand (2 * 0.5^n for n pairs on one side), `scipy.stats.ttest_1samp` for the
interval of the mean.
"""

from __future__ import annotations

from math import inf, log
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, ttest_1samp

from domain.experiments import ExperimentAnalysis, PairedOutcome, SuccessCriteria, Verdict
from engines.experiments import analyse, detectable_breakage, mcnemar, mean_interval, required_pairs

CRITERIA = SuccessCriteria()


def pair(**fields: Any) -> PairedOutcome:
    defaults = {"method": "run", "control_ok": True, "candidate_ok": True, "control_ms": 100, "candidate_ms": 100}
    return PairedOutcome.model_validate({"same": True, **defaults, **fields})


def pairs(ratio: float, n: int = 20, *, base_ms: float = 100, noise: float = 0.05) -> list[PairedOutcome]:
    random = np.random.default_rng(5)
    factors = ratio * np.exp(random.normal(0, noise, size=n))
    return [pair(control_ms=base_ms, candidate_ms=base_ms * factor) for factor in factors]


BROKEN = pair(candidate_ok=False, same=None)
REPAIRED = pair(control_ok=False, same=None)


def verdict(*outcomes: PairedOutcome, **criteria: Any) -> Verdict:
    return analyse(outcomes, SuccessCriteria(**criteria)).verdict


@pytest.mark.parametrize(("broken", "repaired", "expected"), [(0, 0, 1), (5, 0, 0.0625), (6, 0, 0.03125), (1, 1, 1)])
def test_mcnemar_is_exact(broken: int, repaired: int, expected: float) -> None:
    assert mcnemar(broken, repaired) == pytest.approx(expected)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_symmetric_and_a_probability(broken: int, repaired: int) -> None:
    assert 0 <= mcnemar(broken, repaired) <= 1
    assert mcnemar(broken, repaired) == pytest.approx(mcnemar(repaired, broken))


@pytest.mark.parametrize("pairs_", [6, 20, 200])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_the_detectable_breakage_is_found_with_the_wanted_power(pairs_: int, power: float) -> None:
    criteria = SuccessCriteria(power=power)
    least = detectable_breakage(pairs_, criteria)
    found = sum(binom.pmf(broken, pairs_, least) for broken in range(pairs_ + 1) if mcnemar(broken, 0) < 0.05)

    assert found == pytest.approx(power)


def test_the_required_pairs_are_the_fewest_that_show_the_least_difference_worth_noticing() -> None:
    criteria = SuccessCriteria(mde=0.02)
    needed = required_pairs(criteria)

    assert detectable_breakage(needed, criteria) <= 0.02 < detectable_breakage(needed - 1, criteria)
    assert detectable_breakage(5, criteria) == 1.0
    assert required_pairs(SuccessCriteria(mde=1.0)) == 6


def test_an_analysis_says_what_it_could_not_have_shown() -> None:
    reasons = analyse(pairs(1.0), CRITERIA).reasons

    assert reasons[0] == "20 pairs were compared; breaking 36.6% of the calls shows with a power of 80%."


def test_the_interval_is_students() -> None:
    values = [0.1, -0.2, 0.35, 0.02, 0.11]
    interval = mean_interval(values, 0.05)
    reference = ttest_1samp(values, 0).confidence_interval(0.95)

    assert interval is not None
    assert interval[1:] == pytest.approx((reference.low, reference.high))


def test_one_value_bounds_nothing_and_none_is_nothing() -> None:
    assert mean_interval([1.0], 0.05) == (1.0, -inf, inf)
    assert mean_interval([], 0.05) is None


def test_the_same_answers_as_fast_ship() -> None:
    analysis = analyse(pairs(1.0), CRITERIA)

    assert analysis.verdict is Verdict.SHIP
    assert analysis.latency_ratio == pytest.approx(1, abs=0.05)
    assert len(analysis.reasons) == 4


def test_a_faster_candidate_ships() -> None:
    assert verdict(*pairs(0.5)) is Verdict.SHIP


def test_a_candidate_slower_than_the_limit_is_rolled_back() -> None:
    assert verdict(*pairs(1.5)) is Verdict.ROLLBACK


def test_an_interval_across_the_limit_is_inconclusive() -> None:
    assert verdict(*pairs(1.2, noise=0.3)) is Verdict.INCONCLUSIVE


def test_a_slowdown_nobody_notices_ships() -> None:
    assert verdict(*pairs(2.0, base_ms=1)) is Verdict.SHIP
    assert verdict(*pairs(2.0, base_ms=1), negligible_ms=0.1) is Verdict.ROLLBACK


def test_too_few_pairs_are_never_won() -> None:
    assert verdict(*pairs(1.0, n=7)) is Verdict.INCONCLUSIVE
    assert verdict(pair(), min_pairs=1, negligible_ms=0) is Verdict.INCONCLUSIVE


def test_nothing_measured_is_never_won() -> None:
    analysis = analyse([], CRITERIA)

    assert analysis.verdict is Verdict.INCONCLUSIVE
    assert (analysis.error_p_value, analysis.latency_ratio, analysis.latency_interval) == (None, None, None)


def test_significant_breakage_is_rolled_back_even_with_few_pairs() -> None:
    assert verdict(*[BROKEN] * 6, min_pairs=1_000) is Verdict.ROLLBACK


def test_one_broken_call_is_not_won() -> None:
    assert verdict(*pairs(1.0), BROKEN) is Verdict.INCONCLUSIVE


def test_breaking_no_more_than_it_repairs_ships() -> None:
    assert verdict(*pairs(1.0), BROKEN, REPAIRED) is Verdict.SHIP


def test_an_answer_that_differs_is_rolled_back() -> None:
    analysis = analyse([*pairs(1.0), pair(same=False)], CRITERIA)

    assert analysis.verdict is Verdict.ROLLBACK
    assert analysis.different == 1


def test_when_neither_version_answers_nothing_is_known() -> None:
    assert verdict(*[pair(control_ok=False, candidate_ok=False, same=None)] * 20) is Verdict.INCONCLUSIVE


def test_durations_of_zero_have_a_ratio() -> None:
    assert analyse([pair(control_ms=0, candidate_ms=0)] * 10, CRITERIA).latency_ratio == 1


def test_the_ratio_is_the_geometric_mean() -> None:
    analysis = analyse([pair(candidate_ms=200), pair(candidate_ms=50)], CRITERIA)

    assert analysis.latency_ratio == pytest.approx(1)
    assert analysis.latency_interval is not None
    assert log(analysis.latency_interval[0]) == pytest.approx(-log(analysis.latency_interval[1]))


KINDNESS = [Verdict.ROLLBACK, Verdict.INCONCLUSIVE, Verdict.SHIP]


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 3))
def test_more_harm_never_makes_the_verdict_kinder(broken: int, repaired: int, different: int) -> None:
    def judged(breaks: int, differs: int) -> int:
        outcomes = [*pairs(1.0), *[BROKEN] * breaks, *[REPAIRED] * repaired, *[pair(same=False)] * differs]
        return KINDNESS.index(verdict(*outcomes))

    assert judged(broken + 1, different) <= judged(broken, different)
    assert judged(broken, different + 1) <= judged(broken, different)


def test_a_version_that_is_the_same_is_seldom_called_slower() -> None:
    # Nominal error of one end of a 95 % interval: 2.5 %; a bound of 30 of 400 has a chance below 1e-7.
    random = np.random.default_rng(11)
    wrong = 0
    for _ in range(400):
        factors = np.exp(random.normal(log(1.2), 0.3, size=12))
        outcomes = [pair(candidate_ms=100 * factor) for factor in factors]
        wrong += _analysis(outcomes).verdict is Verdict.ROLLBACK

    assert binomtest(wrong, 400, 0.025).pvalue > 1e-4


def _analysis(outcomes: list[PairedOutcome]) -> ExperimentAnalysis:
    return analyse(outcomes, SuccessCriteria(negligible_ms=0))
