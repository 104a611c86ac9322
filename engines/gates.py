"""Spec 5.2, gates - decides what counts prove about a gate: bad, good, or nothing yet.

A gate limits the share p of bad calls: p < limit. Two e-processes are read from the counts n and k (bad):

    e_bad(n, k)  = integral over p > limit of L(p)/L(limit) d prior     against "p <= limit"
    e_good(n, k) = integral over p < limit of L(p)/L(limit) d prior     against "p >= limit"

with L(p) = p^k (1-p)^(n-k) and the prior Beta(1/2, 1/2) truncated to its side. Each is a supermartingale whatever the
true p on the other side, so by Ville's inequality it reaches 1/alpha with probability at most alpha, however often one
looks (Ville 1939; Robbins 1970, Ann. Math. Statist. 41(5); Ramdas et al. 2023, Statist. Sci. 38(4)).

Rules:
- Bad is proved at 1000 : 1: a rollout may take back a sound version in at most 1 of 100 cases, and has about ten gates
  in all its stages. Good is proved at 20 : 1, the 95 % of the spec's experiments.
- Bad needs no minimum of calls; good needs the stage's `min_calls`.
- Slices of time may be given one by one. Every slice is also a starting point for harm, the j-th with the weight
  1/(j(j+1)), so that a version that decays late is found though it was good for long; the mixture is an e-process too.
- A latency gate is the same gate on "slower than the threshold": 5 % of the calls for p95, 1 % for p99.
- Harm that was counted stays proved when the source goes down. Otherwise a source that is down or late makes the gate
  BLIND. No calls at all is UNKNOWN, never good.

Not here: what a verdict leads to (`engines/rollouts.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate, pairwise
from math import exp, inf, log
from typing import Final

from scipy.special import betainc, betaincc, betaln

from domain.rollouts import GateCondition, GateEvaluation, GateVerdict, Metric, Sample, StageGate

ALPHA_BAD: Final = 0.001
ALPHA_GOOD: Final = 0.05
SLOW_SHARE: Final = {Metric.LATENCY_P95: 0.05, Metric.LATENCY_P99: 0.01}
PRIOR: Final = 0.5


def limit_of(gate: StageGate) -> float:
    """Return the share of bad calls, in (0, 1), at which the gate turns."""
    return SLOW_SHARE.get(gate.metric, gate.threshold)


def log_e_above(limit: float, n: int, bad: int) -> float:
    """Return the log of the evidence that more than `limit` of the calls are bad.

    Args:
        limit: share in (0, 1).
        n: calls, >= 0.
        bad: those that were bad, 0..n.
    """
    a, b = PRIOR + bad, PRIOR + n - bad
    mass = _log(betaincc(a, b, limit)) - _log(betaincc(PRIOR, PRIOR, limit))
    return float(betaln(a, b) - betaln(PRIOR, PRIOR)) + mass - _log_likelihood(limit, n, bad)


def log_e_below(limit: float, n: int, bad: int) -> float:
    """Return the log of the evidence that fewer than `limit` of the calls are bad; arguments as `log_e_above`."""
    a, b = PRIOR + bad, PRIOR + n - bad
    mass = _log(betainc(a, b, limit)) - _log(betainc(PRIOR, PRIOR, limit))
    return float(betaln(a, b) - betaln(PRIOR, PRIOR)) + mass - _log_likelihood(limit, n, bad)


def calls_to_prove(limit: float, bad: int = 0) -> int:
    """Return how many calls, `bad` of them bad, prove that fewer than `limit` are bad."""
    low, high = bad, max(1, bad)
    while log_e_below(limit, high, bad) < log(1 / ALPHA_GOOD):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        enough = log_e_below(limit, middle, bad) >= log(1 / ALPHA_GOOD)
        low, high = (low, middle) if enough else (middle, high)
    return high


def evaluate(gate: StageGate, samples: Sequence[Sample], min_calls: int, oldest: datetime) -> GateEvaluation:
    """Judge one gate.

    Args:
        gate: the gate.
        samples: its counts since the stage began, whole or in consecutive slices.
        min_calls: calls below which nothing is proved good.
        oldest: counts that end before this moment are too late to trust.

    Returns:
        The verdict with the counts it rests on.
    """
    ordered = sorted(samples, key=lambda sample: sample.window_start)
    n, bad = sum(sample.n for sample in ordered), sum(sample.bad for sample in ordered)
    verdict, reason = _verdict(gate, ordered, min_calls, oldest)
    return GateEvaluation(
        metric=gate.metric,
        threshold=gate.threshold,
        n=n,
        bad=bad,
        verdict=verdict,
        reason=reason,
        on_failure=gate.on_failure,
    )


def _verdict(gate: StageGate, ordered: Sequence[Sample], min_calls: int, oldest: datetime) -> tuple[GateVerdict, str]:
    if any(later.window_start < earlier.window_end for earlier, later in pairwise(ordered)):
        return GateVerdict.BLIND, f"{gate.metric}: its slices overlap, so calls would be counted twice."
    limit, counts = limit_of(gate), [(sample.n, sample.bad) for sample in ordered]
    n, bad = sum(count[0] for count in counts), sum(count[1] for count in counts)
    against, in_favour = _evidence(gate, limit, counts)
    seen = f"{gate.metric}: {bad} bad of {n} calls, limit {limit:.3g}"
    if against >= log(1 / ALPHA_BAD):
        return GateVerdict.PROVED_BAD, f"{seen}; evidence of harm {_odds(against)}."
    blind = _blindness(ordered, oldest)
    if blind:
        return GateVerdict.BLIND, f"{gate.metric}: {blind}."
    if n == 0:
        return GateVerdict.UNKNOWN, f"{gate.metric}: no calls yet; silence proves nothing."
    if n < min_calls:
        return GateVerdict.UNKNOWN, f"{seen}; at least {min_calls} calls are asked for."
    if in_favour >= log(1 / ALPHA_GOOD):
        return GateVerdict.PROVED_GOOD, f"{seen}; evidence that it holds {_odds(in_favour)}."
    return GateVerdict.UNKNOWN, f"{seen}; {_missing(gate, limit, n, bad)}"


def _evidence(gate: StageGate, limit: float, counts: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Return the log evidence against the gate and for it."""
    n, bad = sum(count[0] for count in counts), sum(count[1] for count in counts)
    if gate.condition is GateCondition.GREATER_THAN:
        flipped = [(count, count - wrong) for count, wrong in counts]
        return _from_any_start(1 - limit, flipped), log_e_above(limit, n, bad)
    return _from_any_start(limit, counts), log_e_below(limit, n, bad)


def _from_any_start(limit: float, counts: Sequence[tuple[int, int]]) -> float:
    """Return the log of the mixture, over all slices as starting points, of the evidence for more than `limit`.

    Starting points that have not come yet hold the rest of the weight, with evidence 1.
    """
    ends = list(accumulate(reversed(counts), lambda sum_, count: (sum_[0] + count[0], sum_[1] + count[1])))
    terms = [log_e_above(limit, *tail) - log(start * (start + 1)) for start, tail in enumerate(reversed(ends), start=1)]
    terms.append(-log(len(counts) + 1))
    largest = max(terms)
    return largest + log(sum(exp(term - largest) for term in terms))


def _blindness(ordered: Sequence[Sample], oldest: datetime) -> str:
    if not ordered:
        return "no counts were delivered"
    if not all(sample.source_up for sample in ordered):
        return "the source of its counts does not answer"
    end = max(sample.window_end for sample in ordered)
    return f"its counts end at {end:%Y-%m-%d %H:%M:%S} UTC, too long ago" if end < oldest else ""


def _missing(gate: StageGate, limit: float, n: int, bad: int) -> str:
    if gate.condition is GateCondition.GREATER_THAN:
        return "not proved either way."
    needed = calls_to_prove(limit, bad) - n
    return f"not proved either way; {needed} more calls without a bad one would prove it good."


def _odds(log_e: float) -> str:
    return f"{exp(log_e):.3g} : 1" if log_e < log(1e9) else "beyond 1e9 : 1"


def _log(value: float) -> float:
    return log(value) if value > 0 else -inf


def _log_likelihood(p: float, n: int, bad: int) -> float:
    return bad * log(p) + (n - bad) * log(1 - p)
