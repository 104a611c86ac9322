"""Spec 12.1, metric families - decides what a metric is and how it is written for Prometheus.

Rules (Prometheus text exposition format 0.0.4):
- A family has one name, one type, one line of help, and samples that differ in their labels only.
- A counter never falls and starts at 0; it is written even while it is 0, so that a rule never meets silence.
- A summary is written as its quantiles, `_sum` and `_count`; with nothing observed its quantiles are left out.

Not here: the values (`store/metrics.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from pydantic import Field

from domain.base import Model

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
QUANTILES = (0.5, 0.95)


class MetricType(StrEnum):
    """The types in use."""

    COUNTER = "counter"
    GAUGE = "gauge"
    SUMMARY = "summary"


class MetricSample(Model):
    """One line of a family.

    Attributes:
        suffix: what follows the family's name: `_sum` and `_count` of a summary.
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


def counter(name: str, help_text: str, value: float) -> MetricFamily:
    """Return a counter without labels."""
    return MetricFamily(name=name, type=MetricType.COUNTER, help=help_text, samples=(MetricSample(value=value),))


def gauge(name: str, help_text: str, values: Mapping[tuple[tuple[str, str], ...], float]) -> MetricFamily:
    """Return a gauge with one sample for each set of labels; `{(): value}` is one without labels."""
    samples = tuple(MetricSample(value=value, labels=dict(labels)) for labels, value in values.items())
    return MetricFamily(name=name, type=MetricType.GAUGE, help=help_text, samples=samples)


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


def exposition(families: Iterable[MetricFamily]) -> str:
    """Return the families as text, each ended by a line feed."""
    return "".join(_family(family) for family in families)


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
