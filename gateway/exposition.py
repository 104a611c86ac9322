"""Spec 12.1, exposition - decides how numbers are written for Prometheus (text format 0.0.4).

Rules:
- A family is written once: HELP, TYPE, then its samples in a fixed order.
- Counter names end in `_total`, durations are in seconds, label values are escaped.

Not here: which numbers there are (`gateway/metrics.py`).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Labels = tuple[tuple[str, str], ...]
"""Label names and values, in the order in which they are written."""


@dataclass(frozen=True)
class Sample:
    """One number of a family; `suffix` is `_bucket`, `_sum` or `_count` for histograms."""

    value: float
    labels: Labels = ()
    suffix: str = ""


@dataclass(frozen=True)
class Family:
    """One metric with all its samples."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


@dataclass
class Histogram:
    """Counts of durations up to each bound.

    Attributes:
        bounds: upper bounds in seconds, ascending.
        counts: observations per bound, the last for those above all of them.
    """

    bounds: tuple[float, ...] = LATENCY_BOUNDS
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    def samples(self, labels: Labels) -> Iterator[Sample]:
        """Yield the cumulative buckets, the sum and the count."""
        running = 0
        for bound, count in zip((*self.bounds, math.inf), self.counts, strict=True):
            running += count
            yield Sample(running, (*labels, ("le", number(bound))), "_bucket")
        yield Sample(self.total, labels, "_sum")
        yield Sample(running, labels, "_count")


def labels_of(**labels: str) -> Labels:
    """Return labels in the order given."""
    return tuple(labels.items())


def counters(name: str, description: str, values: Mapping[Labels, float]) -> Family:
    """Return a counter family with one sample per set of labels."""
    return Family(name, "counter", description, tuple(Sample(value, labels) for labels, value in values.items()))


def gauge(name: str, description: str, value: float) -> Family:
    """Return a gauge family of a single number."""
    return Family(name, "gauge", description, (Sample(value),))


def exposition(families: Iterable[Family]) -> str:
    """Write families as Prometheus reads them."""
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def number(value: float) -> str:
    """Write a number without a needless fraction."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(value)


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.kind}"
    for sample in sorted(family.samples, key=lambda one: _without_bound(one.labels)):
        written = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels)
        yield f"{family.name}{sample.suffix}{{{written}}} {number(sample.value)}".replace("{}", "")


def _without_bound(labels: Labels) -> Labels:
    """Return what samples are sorted by; a stable sort keeps the buckets of one histogram in their order."""
    return tuple(label for label in labels if label[0] != "le")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
