"""Spec 12.1, metric families - decides what a metric is and how it is written for Prometheus.

Rules (Prometheus text exposition format 0.0.4):
- A family has one name, one type, one line of help, and samples that differ in their labels only.
- A counter never falls and starts at 0; it is written even while it is 0, so that a rule never meets silence.
- A summary is written as its quantiles, `_sum` and `_count`; with nothing observed its quantiles are left out.
- A histogram is written as cumulative buckets that end at `+Inf`, `_sum` and `_count`, one whole set for each set of
  labels, never mixed.

Not here: the values (`store/metrics.py`, `gateway/metrics.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import accumulate
from typing import Self

from pydantic import Field, model_validator

from domain.base import Model

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
QUANTILES = (0.5, 0.95)

Labels = tuple[tuple[str, str], ...]
"""Label names and values, in the order in which they are written."""


class MetricType(StrEnum):
    """The types in use."""

    COUNTER = "counter"
    GAUGE = "gauge"
    SUMMARY = "summary"
    HISTOGRAM = "histogram"


class MetricSample(Model):
    """One line of a family.

    Attributes:
        suffix: what follows the family's name: `_sum`, `_count` or `_bucket`.
        value: `inf` and `nan` are written as Prometheus spells them.
    """

    value: float
    labels: dict[str, str] = Field(default_factory=dict)
    suffix: str = ""


class MetricFamily(Model):
    """One metric with all its samples."""

    name: str = Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    type: MetricType
    help: str
    samples: tuple[MetricSample, ...] = ()


class Buckets(Model):
    """What one histogram has observed.

    Attributes:
        bounds: upper bounds, ascending; a value that equals one belongs to it.
        counts: observations in each bucket alone, the last being those above every bound.
        total: sum of all observations.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    @model_validator(mode="after")
    def _has_one_count_for_each_bucket(self) -> Self:
        if len(self.counts) != len(self.bounds) + 1 or list(self.bounds) != sorted(set(self.bounds)):
            raise ValueError("bounds must ascend, and there must be one count more than bounds")
        return self


def counter(name: str, help_text: str, value: float) -> MetricFamily:
    """Return a counter without labels."""
    return counters(name, help_text, {(): value})


def counters(name: str, help_text: str, values: Mapping[Labels, float]) -> MetricFamily:
    """Return a counter with one sample for each set of labels."""
    return MetricFamily(name=name, type=MetricType.COUNTER, help=help_text, samples=_samples(values))


def gauge(name: str, help_text: str, values: Mapping[Labels, float]) -> MetricFamily:
    """Return a gauge with one sample for each set of labels; `{(): value}` is one without labels."""
    return MetricFamily(name=name, type=MetricType.GAUGE, help=help_text, samples=_samples(values))


def summary(name: str, help_text: str, count: int, total: float, recent: Sequence[float]) -> MetricFamily:
    """Return a summary.

    Args:
        name: name of the family, unit included.
        help_text: one line for a person.
        count: observations ever made.
        total: their sum.
        recent: the latest of them, from which the quantiles are taken by nearest rank.
    """
    ordered = sorted(recent)
    quantiles = [
        MetricSample(value=ordered[math.ceil(q * len(ordered)) - 1], labels={"quantile": str(q)})
        for q in QUANTILES
        if ordered
    ]
    totals = [MetricSample(value=total, suffix="_sum"), MetricSample(value=count, suffix="_count")]
    return MetricFamily(name=name, type=MetricType.SUMMARY, help=help_text, samples=(*quantiles, *totals))


def histogram(name: str, help_text: str, values: Mapping[Labels, Buckets]) -> MetricFamily:
    """Return a histogram with one set of buckets for each set of labels; none of these may be called `le`."""
    samples = tuple(sample for labels, buckets in values.items() for sample in _buckets(dict(labels), buckets))
    return MetricFamily(name=name, type=MetricType.HISTOGRAM, help=help_text, samples=samples)


def exposition(families: Iterable[MetricFamily]) -> str:
    """Return the families as text, each ended by a line feed."""
    return "".join(_family(family) for family in families)


def _samples(values: Mapping[Labels, float]) -> tuple[MetricSample, ...]:
    return tuple(MetricSample(value=value, labels=dict(labels)) for labels, value in values.items())


def _buckets(labels: dict[str, str], buckets: Buckets) -> Iterator[MetricSample]:
    cumulative = list(accumulate(buckets.counts))
    for bound, count in zip((*buckets.bounds, math.inf), cumulative, strict=True):
        yield MetricSample(value=count, labels={**labels, "le": _number(bound)}, suffix="_bucket")
    yield MetricSample(value=buckets.total, labels=labels, suffix="_sum")
    yield MetricSample(value=cumulative[-1], labels=labels, suffix="_count")


def _family(family: MetricFamily) -> str:
    help_text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    lines = [f"# HELP {family.name} {help_text}", f"# TYPE {family.name} {family.type}"]
    lines += [f"{family.name}{sample.suffix}{_labels(sample)} {_number(sample.value)}" for sample in family.samples]
    return "\n".join(lines) + "\n"


def _labels(sample: MetricSample) -> str:
    pairs = [f'{name}="{_escaped(value)}"' for name, value in sample.labels.items()]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value.is_integer() else repr(value)
