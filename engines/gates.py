"""Spec 5.2, gates - decides what counts prove about a gate: bad, good, or nothing yet.

A gate limits the share of bad calls, or how many times as often the candidate is bad as the control.

Rules:
- Bad is proved at 1000 : 1: a rollout may take back a sound version in at most 1 of 100 cases, and has about ten gates
  in all its stages. Good is proved at 20 : 1, the 95 % of the spec's experiments.
- Bad needs no minimum of calls; good needs the stage's `min_calls`.
- A version that decays late, good though it was for long, is found by a detector that starts anew with every slice of
  time; it is mistaken once in 10,000 slices at most, on the limit itself, and far more rarely below it.
- A latency gate is the same gate on "slower than the threshold": 5 % of the calls for p95, 1 % for p99.
- Relative to the control a candidate is bad when it is bad too often, and above the floor as well: with a control that
  never fails, a single failure would be "twice as many". It is good when it is not worse, or below the floor.
- Harm that was counted stays proved when the source goes down. Otherwise a source that is down or late makes the gate
  BLIND. No calls at all is UNKNOWN, never good.

What the constants cost and find is simulated in `benchmarks/gate_table.py`.

Not here: how strong evidence is (`engines/evidence.py`), what a verdict leads to (`engines/rollouts.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from math import exp, inf, log
from typing import Final, NamedTuple

from domain.rollouts import GateCondition, GateEvaluation, GateVerdict, Metric, Sample, StageGate
from domain.routing import VariantName
from engines.evidence import (
    Counts,
    Pair,
    calls_to_prove,
    detector,
    detector_worse,
    log_e_above,
    log_e_below,
    log_e_better,
    log_e_worse,
    total,
)

ALPHA_BAD: Final = 0.001
ALPHA_GOOD: Final = 0.05
SLICES_BETWEEN_FALSE_ALARMS: Final = 10_000
BAD, GOOD, DECAYED = log(1 / ALPHA_BAD), log(1 / ALPHA_GOOD), log(SLICES_BETWEEN_FALSE_ALARMS)
SLOW_SHARE: Final = {Metric.LATENCY_P95: 0.05, Metric.LATENCY_P99: 0.01}
NOTHING: Final = Counts(0, 0)


class _Evidence(NamedTuple):
    """Logarithms: of the evidence for harm, of what a late decay gives, and of the evidence that all is well."""

    harm: float
    decay: float
    good: float


def limit_of(gate: StageGate) -> float:
    """Return the share of bad calls, in (0, 1), at which the gate turns; the floor of one that is relative."""
    if gate.condition is GateCondition.RELATIVE_TO_CONTROL:
        return gate.floor
    return SLOW_SHARE.get(gate.metric, gate.threshold)


def evaluate(gate: StageGate, samples: Sequence[Sample], min_calls: int, oldest: datetime) -> GateEvaluation:
    """Judge one gate.

    Args:
        gate: the gate.
        samples: its counts since the stage began, whole or in consecutive slices; the control's too, in the same
            slices, if it is relative.
        min_calls: calls below which nothing is proved good.
        oldest: counts that end before this moment are too late to trust.

    Returns:
        The verdict with the counts it rests on.
    """
    ordered = sorted(samples, key=lambda sample: sample.window_start)
    own = [sample for sample in ordered if sample.variant is VariantName.CANDIDATE]
    counts = total([Counts(sample.n, sample.bad) for sample in own])
    verdict, reason = _verdict(gate, ordered, min_calls, oldest)
    return GateEvaluation(
        metric=gate.metric,
        threshold=gate.threshold,
        n=counts.n,
        bad=counts.bad,
        verdict=verdict,
        reason=reason,
        on_failure=gate.on_failure,
    )


def _verdict(gate: StageGate, ordered: Sequence[Sample], min_calls: int, oldest: datetime) -> tuple[GateVerdict, str]:
    own = [sample for sample in ordered if sample.variant is VariantName.CANDIDATE]
    if any(later.window_start < earlier.window_end for earlier, later in pairwise(own)):
        return GateVerdict.BLIND, f"{gate.metric}: its slices overlap, so calls would be counted twice."
    slices = _paired(ordered)
    counts = total([pair.candidate for pair in slices])
    evidence = _relative(gate, slices) if _is_relative(gate) else _absolute(gate, [pair.candidate for pair in slices])
    seen = _seen(gate, counts, total([pair.control for pair in slices]))
    if evidence.harm >= BAD:
        return GateVerdict.PROVED_BAD, f"{seen}; evidence of harm {_odds(evidence.harm)}."
    if evidence.decay >= DECAYED:
        return GateVerdict.PROVED_BAD, f"{seen}; evidence of harm from some time on {_odds(evidence.decay)}."
    blind = _blindness(own, oldest)
    if blind:
        return GateVerdict.BLIND, f"{gate.metric}: {blind}."
    if counts.n == 0:
        return GateVerdict.UNKNOWN, f"{gate.metric}: no calls yet; silence proves nothing."
    if counts.n < min_calls:
        return GateVerdict.UNKNOWN, f"{seen}; at least {min_calls} calls are asked for."
    if evidence.good >= GOOD:
        return GateVerdict.PROVED_GOOD, f"{seen}; evidence that it holds {_odds(evidence.good)}."
    return GateVerdict.UNKNOWN, f"{seen}; {_missing(gate, counts)}"


def _is_relative(gate: StageGate) -> bool:
    return gate.condition is GateCondition.RELATIVE_TO_CONTROL


def _paired(ordered: Sequence[Sample]) -> list[Pair]:
    """Return the candidate's slices, each with what the control did in the same time."""
    control = {
        (sample.window_start, sample.window_end): Counts(sample.n, sample.bad)
        for sample in ordered
        if sample.variant is VariantName.CONTROL
    }
    return [
        Pair(Counts(one.n, one.bad), control.get((one.window_start, one.window_end), NOTHING))
        for one in ordered
        if one.variant is VariantName.CANDIDATE
    ]


def _absolute(gate: StageGate, slices: Sequence[Counts]) -> _Evidence:
    limit, (n, bad) = limit_of(gate), total(slices)
    if gate.condition is GateCondition.GREATER_THAN:
        flipped = [Counts(one.n, one.n - one.bad) for one in slices]
        return _Evidence(
            log_e_above(1 - limit, n, n - bad), _highest(detector(1 - limit, flipped)), log_e_above(limit, n, bad)
        )
    return _Evidence(log_e_above(limit, n, bad), _highest(detector(limit, slices)), log_e_below(limit, n, bad))


def _relative(gate: StageGate, slices: Sequence[Pair]) -> _Evidence:
    """Return the least of what speaks for harm, and the mean of what speaks for good: each is evidence by itself."""
    own = [pair.candidate for pair in slices]
    n, bad = total(own)
    harm = min(log_e_worse(gate.threshold, slices), log_e_above(gate.floor, n, bad))
    decay = _highest(map(min, detector_worse(gate.threshold, slices), detector(gate.floor, own)))
    good = max(log_e_better(gate.threshold, slices), log_e_below(gate.floor, n, bad)) - log(2)
    return _Evidence(harm, decay, good)


def _highest(path: Iterable[float]) -> float:
    return max(path, default=-inf)


def _seen(gate: StageGate, counts: Counts, control: Counts) -> str:
    told = f"{gate.metric}: {counts.bad} bad of {counts.n} calls"
    if _is_relative(gate):
        limit = f"limit {gate.threshold:g} times as often, floor {gate.floor:.3g}"
        return f"{told}, control {control.bad} of {control.n}, {limit}"
    return f"{told}, limit {limit_of(gate):.3g}"


def _blindness(ordered: Sequence[Sample], oldest: datetime) -> str:
    if not ordered:
        return "no counts were delivered"
    if not all(sample.source_up for sample in ordered):
        return "the source of its counts does not answer"
    end = max(sample.window_end for sample in ordered)
    return f"its counts end at {end:%Y-%m-%d %H:%M:%S} UTC, too long ago" if end < oldest else ""


def _missing(gate: StageGate, counts: Counts) -> str:
    if gate.condition is not GateCondition.LESS_THAN:
        return "not proved either way."
    needed = calls_to_prove(limit_of(gate), counts.bad, GOOD) - counts.n
    return f"not proved either way; {needed} more calls without a bad one would prove it good."


def _odds(log_e: float) -> str:
    return f"{exp(log_e):.3g} : 1" if log_e < log(1e9) else "beyond 1e9 : 1"
