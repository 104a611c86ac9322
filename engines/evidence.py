"""Spec 5.2, evidence - decides how strongly counts speak about the share p of bad calls, for and against a limit.

Two e-processes are read from the counts n and k (bad):

    e_above(n, k) = integral over p > limit of L(p)/L(limit) d prior     against "p <= limit"
    e_below(n, k) = integral over p < limit of L(p)/L(limit) d prior     against "p >= limit"

with L(p) = p^k (1-p)^(n-k) and the prior Beta(1/2, 1/2) truncated to its side. Each is a supermartingale whatever the
true p on the other side, so by Ville's inequality it reaches 1/alpha with probability at most alpha, however often one
looks (Ville 1939; Robbins 1970, Ann. Math. Statist. 41(5); Ramdas et al. 2023, Statist. Sci. 38(4)).

What decays late is found by a third, which starts anew with every slice of time, the e-detector of Shiryaev-Roberts
type (Shin, Ramdas & Rinaldo, "E-detectors", arXiv 2203.03532; Shiryaev 1963; Roberts 1966):

    R_j = (R_{j-1} + 1) L_j(a)/L_j(limit)       for each slice j and each alternative a, then the mean over a

With an alarm at R >= A, at least A slices pass on average before a false one, even at p = limit.

Not here: what follows from it for a gate (`engines/gates.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import exp, inf, log, log1p
from typing import Final, NamedTuple

from scipy.special import betainc, betaincc, betaln

PRIOR: Final = 0.5
HARM: Final = (1.5, 2.0, 3.0, 5.0, 10.0, 20.0)
"""The alternatives, as multiples of the limit."""
HALVINGS: Final = 40
BENEFIT: Final = (0.8, 0.6, 0.4, 0.2, 0.1, 0.01)


class Counts(NamedTuple):
    """Calls, and the bad ones among them."""

    n: int
    bad: int


class Pair(NamedTuple):
    """What candidate and control did in the same slice of time."""

    candidate: Counts
    control: Counts


def total(slices: Sequence[Counts]) -> Counts:
    """Return the sum of counts."""
    return Counts(sum(one.n for one in slices), sum(one.bad for one in slices))


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


def detector(limit: float, slices: Sequence[Counts]) -> Iterator[float]:
    """Yield the log of the e-detector after each slice, for more than `limit` bad from some slice on.

    Args:
        limit: share in (0, 1).
        slices: consecutive.

    Cost: six multiplications a slice, as for all that follows.
    """
    alternatives = [a for a in (limit * factor for factor in HARM) if a < 1] or [(1 + limit) / 2]
    return _restarting([_gains(limit, alternatives, one) for one in slices])


def log_e_worse(factor: float, slices: Sequence[Pair]) -> float:
    """Return the log of the evidence that the candidate is bad more than `factor` times as often as the control.

    Given the bad calls of a slice, each is the candidate's with probability r w / (r w + 1 - w), where r is how many
    times as often it is bad and w its part of the calls: the Poisson form for rare events. The mixture is over r, and w
    may be another in every slice, which is what keeps it valid while a share grows.

    Args:
        factor: > 0.
        slices: consecutive; those without calls of either say nothing.
    """
    return _mixture([_relative_gains(factor, HARM, one) for one in slices])


def log_e_better(factor: float, slices: Sequence[Pair]) -> float:
    """Return the log of the evidence for less than `factor` times as often; arguments as `log_e_worse`."""
    return _mixture([_relative_gains(factor, BENEFIT, one) for one in slices])


def detector_worse(factor: float, slices: Sequence[Pair]) -> Iterator[float]:
    """Yield what `detector` does, for more than `factor` times as often from some slice on."""
    return _restarting([_relative_gains(factor, HARM, one) for one in slices])


def bounds(n: int, bad: int, level: float) -> tuple[float, float]:
    """Return the shares of bad calls between which the true one lies, at a level that holds however often one looks.

    Args:
        n: calls, >= 0.
        bad: those that were bad, 0..n.
        level: log evidence at which a share is ruled out; log(20) is 95 % to each side.
    """
    if n == 0:
        return 0.0, 1.0
    seen = bad / n
    below = _turning(0.0, seen, lambda limit: log_e_above(limit, n, bad) >= level) if bad else 0.0
    above = _turning(seen, 1.0, lambda limit: log_e_below(limit, n, bad) < level) if bad < n else 1.0
    return below, above


def calls_to_prove(limit: float, bad: int, level: float) -> int:
    """Return how many calls, `bad` of them bad, prove at `level` (log evidence) that fewer than `limit` are bad."""
    low, high = bad, max(1, bad)
    while log_e_below(limit, high, bad) < level:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if log_e_below(limit, middle, bad) >= level else (middle, high)
    return high


def _gains(limit: float, alternatives: Sequence[float], one: Counts) -> list[float]:
    """Return how much more likely a slice is under each alternative than on the limit; logarithms."""
    base = _log_likelihood(limit, one.n, one.bad)
    return [_log_likelihood(a, one.n, one.bad) - base for a in alternatives]


def _relative_gains(factor: float, grid: Sequence[float], one: Pair) -> list[float]:
    if not one.candidate.n or not one.control.n:
        return [0.0] * len(grid)
    part = one.candidate.n / (one.candidate.n + one.control.n)
    base = _candidates_part(factor, part)
    there = [_candidates_part(factor * multiple, part) for multiple in grid]
    return [one.candidate.bad * log(a / base) + one.control.bad * log((1 - a) / (1 - base)) for a in there]


def _mixture(rows: Sequence[Sequence[float]]) -> float:
    return _log_mean([sum(column) for column in zip(*rows, strict=True)]) if rows else 0.0


def _restarting(rows: Sequence[Sequence[float]]) -> Iterator[float]:
    """Yield the log of the mean of R after each slice."""
    logs = [-inf] * len(rows[0]) if rows else []
    for row in rows:
        logs = [_log_sum(0.0, before) + gain for before, gain in zip(logs, row, strict=True)]
        yield _log_mean(logs)


def _candidates_part(times: float, part: float) -> float:
    return times * part / (times * part + 1 - part)


def _turning(low: float, high: float, holds: Callable[[float], bool]) -> float:
    """Return where what holds at the lower end of an interval holds no more."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return (low + high) / 2


def _log_likelihood(p: float, n: int, bad: int) -> float:
    return bad * log(p) + (n - bad) * log1p(-p)


def _log(value: float) -> float:
    return log(value) if value > 0 else -inf


def _log_sum(first: float, second: float) -> float:
    high, low = max(first, second), min(first, second)
    return high if low == -inf else high + log1p(exp(low - high))


def _log_mean(logs: Sequence[float]) -> float:
    highest = max(logs)
    return highest if highest == -inf else highest + log(sum(exp(one - highest) for one in logs) / len(logs))
