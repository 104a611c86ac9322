"""Spec 4.3, paired analysis - decides whether a candidate wins its experiment.

Both versions are given the same recorded calls, so that every call is its own control. Errors: the exact McNemar test,
a binomial test of broken against repaired pairs (McNemar 1947, Psychometrika 12). Latency: Student's interval for the
mean of the log ratios, which is one for the geometric mean of candidate over control.

Rules:
- Ship needs all of: enough pairs, no more broken than repaired, latency within its limit, no answer that differs.
- Latency is no worse when the upper end of its interval is within the limit, or the mean slowdown's is negligible.
- Proved harm (significant breakage, a differing answer, an interval wholly beyond the limit) is a rollback at once.
- Anything else is inconclusive; an experiment without measurements is never won.
- What the pairs could not have shown is said: the least breakage they show with the wanted power.

Not here: running the calls (`activities/experiments.py`), what follows (`workflows/experiment.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, floor, inf, log, log2, sqrt
from statistics import fmean, stdev
from typing import Final, NamedTuple

from scipy.special import betaincinv
from scipy.stats import binomtest
from scipy.stats import t as student

from domain.experiments import ExperimentAnalysis, PairedOutcome, SuccessCriteria, Verdict

CLOCK_MS: Final = 0.001
"""Durations below the clock's resolution count as this much, so that a ratio exists."""


class _Finding(NamedTuple):
    """What one aspect says, with its sentence."""

    verdict: Verdict
    reason: str


def analyse(pairs: Sequence[PairedOutcome], criteria: SuccessCriteria) -> ExperimentAnalysis:
    """Analyse an experiment.

    Args:
        pairs: what both versions did with the same calls.
        criteria: when the candidate has won.

    Returns:
        The statistics, the verdict, and a sentence for each thing that led to it.
    """
    broken = sum(pair.control_ok and not pair.candidate_ok for pair in pairs)
    repaired = sum(pair.candidate_ok and not pair.control_ok for pair in pairs)
    different = sum(pair.same is False for pair in pairs)
    timed = [pair for pair in pairs if pair.control_ok and pair.candidate_ok]
    ratio = mean_interval([_log_ratio(pair) for pair in timed], criteria.significance_level)
    p_value = mcnemar(broken, repaired) if pairs else None
    findings = (
        _enough(len(pairs), criteria),
        _breakage(broken, repaired, p_value, criteria),
        _answers(different),
        _latency(timed, ratio, criteria),
    )
    return ExperimentAnalysis(
        pairs=len(pairs),
        broken=broken,
        repaired=repaired,
        different=different,
        error_p_value=p_value,
        latency_ratio=exp(ratio[0]) if ratio else None,
        latency_interval=(exp(ratio[1]), exp(ratio[2])) if ratio and ratio[2] < inf else None,
        verdict=_worst(findings),
        reasons=tuple(finding.reason for finding in findings),
    )


def only_latency_is_open(analysis: ExperimentAnalysis, criteria: SuccessCriteria) -> bool:
    """Say whether nothing but the scatter of the durations keeps an experiment from its verdict."""
    unbroken = analysis.pairs >= criteria.min_pairs and analysis.broken <= analysis.repaired
    return analysis.verdict is Verdict.INCONCLUSIVE and unbroken and analysis.latency_interval is not None


def detectable_breakage(pairs: int, criteria: SuccessCriteria) -> float:
    """Return the share of broken calls that `pairs` pairs show significantly with the criteria's power, in (0, 1].

    The number of broken pairs is binomial, and at least `b` of them are significant; the share at which that happens
    with a given probability is a quantile of the beta distribution with parameters b and pairs - b + 1 (Clopper &
    Pearson 1934, Biometrika 26).
    """
    least = _significant(criteria)
    return float(betaincinv(least, pairs - least + 1, criteria.power)) if pairs >= least else 1.0


def required_pairs(criteria: SuccessCriteria) -> int:
    """Return how many pairs show a breakage of `mde` of the calls with the criteria's power."""
    low = high = _significant(criteria)
    while detectable_breakage(high, criteria) > criteria.mde:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if detectable_breakage(middle, criteria) > criteria.mde else (low, middle)
    return high


def _significant(criteria: SuccessCriteria) -> int:
    """Return the least number of broken pairs, with none repaired, that McNemar's test finds significant."""
    return max(1, floor(log2(2 / criteria.significance_level)) + 1)


def mcnemar(broken: int, repaired: int) -> float:
    """Return the two-sided exact p-value of `broken` against `repaired` pairs; 1 when no pair is discordant."""
    if broken + repaired == 0:
        return 1.0
    return min(1.0, float(binomtest(broken, broken + repaired, 0.5).pvalue))


def mean_interval(values: Sequence[float], alpha: float) -> tuple[float, float, float] | None:
    """Return a mean with the ends of Student's interval at level 1 - alpha; unbounded for one value, None for none."""
    if not values:
        return None
    mean = fmean(values)
    if len(values) == 1:
        return mean, -inf, inf
    half = float(student.ppf(1 - alpha / 2, len(values) - 1)) * stdev(values) / sqrt(len(values))
    return mean, mean - half, mean + half


def _log_ratio(pair: PairedOutcome) -> float:
    return log(max(pair.candidate_ms, CLOCK_MS) / max(pair.control_ms, CLOCK_MS))


def _enough(pairs: int, criteria: SuccessCriteria) -> _Finding:
    if pairs < criteria.min_pairs:
        return _Finding(Verdict.INCONCLUSIVE, f"{pairs} pairs are too few; at least {criteria.min_pairs} are needed.")
    least = detectable_breakage(pairs, criteria)
    reason = (
        f"{pairs} pairs were compared; breaking {least:.1%} of the calls shows with a power of {criteria.power:.0%}."
    )
    return _Finding(Verdict.SHIP, reason)


def _breakage(broken: int, repaired: int, p_value: float | None, criteria: SuccessCriteria) -> _Finding:
    if p_value is None:
        return _Finding(Verdict.INCONCLUSIVE, "No call was answered by either version.")
    counts = f"The candidate broke {broken} calls and repaired {repaired} (exact McNemar p = {p_value:.3g})."
    if broken <= repaired:
        return _Finding(Verdict.SHIP, counts)
    harmful = p_value < criteria.significance_level
    return _Finding(Verdict.ROLLBACK if harmful else Verdict.INCONCLUSIVE, counts)


def _answers(different: int) -> _Finding:
    if different:
        return _Finding(Verdict.ROLLBACK, f"{different} answers differ from the control's.")
    return _Finding(Verdict.SHIP, "No answer differs from the control's.")


def _latency(
    timed: Sequence[PairedOutcome], ratio: tuple[float, float, float] | None, criteria: SuccessCriteria
) -> _Finding:
    if ratio is None:
        return _Finding(Verdict.INCONCLUSIVE, "No call was answered by both versions, so latency is unknown.")
    limit = log(1 + criteria.max_latency_regression_percent / 100)
    slowdown = mean_interval([pair.candidate_ms - pair.control_ms for pair in timed], criteria.significance_level)
    assert slowdown is not None
    reason = (
        f"The candidate takes {exp(ratio[0]):.3g} times the control's time (interval {_ends(ratio)}), "
        f"{slowdown[0]:+.3g} ms on average; at most {exp(limit):.3g} times or {criteria.negligible_ms:g} ms is allowed."
    )
    if ratio[2] <= limit or slowdown[2] <= criteria.negligible_ms:
        return _Finding(Verdict.SHIP, reason)
    slower = ratio[1] > limit and slowdown[1] > criteria.negligible_ms
    return _Finding(Verdict.ROLLBACK if slower else Verdict.INCONCLUSIVE, reason)


def _ends(ratio: tuple[float, float, float]) -> str:
    return "unbounded" if ratio[2] == inf else f"{exp(ratio[1]):.3g} to {exp(ratio[2]):.3g}"


def _worst(findings: Sequence[_Finding]) -> Verdict:
    verdicts = {finding.verdict for finding in findings}
    return next(verdict for verdict in (Verdict.ROLLBACK, Verdict.INCONCLUSIVE, Verdict.SHIP) if verdict in verdicts)
