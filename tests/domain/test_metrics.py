"""Spec 12.1, metric families - decides whether Prometheus would read what is written.

The judges are Prometheus' own parser for Python, and `promtool` where it is installed.
"""

from __future__ import annotations

import math
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from domain.metrics import (
    Buckets,
    MetricFamily,
    MetricSample,
    MetricType,
    counter,
    counters,
    exposition,
    gauge,
    histogram,
    summary,
)


def test_a_counter_is_written_while_it_is_zero() -> None:
    assert (
        exposition([counter("x_total", "Things.", 0)]) == "# HELP x_total Things.\n# TYPE x_total counter\nx_total 0\n"
    )


def test_labels_help_and_odd_numbers_are_spelled_as_prometheus_wants() -> None:
    odd = gauge("g", "a\\b\nc", {(("l", 'q"\\\n'),): math.inf, (): math.nan, (("l", "2"),): 0.1})

    assert exposition([odd]).splitlines() == [
        r"# HELP g a\\b\nc",
        "# TYPE g gauge",
        r'g{l="q\"\\\n"} +Inf',
        "g NaN",
        'g{l="2"} 0.1',
    ]


@given(st.dictionaries(st.text(max_size=20), st.floats(min_value=0, max_value=1e12), min_size=1, max_size=5))
def test_a_label_is_read_back_as_it_was_whatever_it_holds(values: dict[str, float]) -> None:
    text = exposition([counters("x_total", "X.", {(("name", name),): value for name, value in values.items()})])

    (family,) = text_string_to_metric_families(text)

    assert {sample.labels["name"]: sample.value for sample in family.samples} == values


def test_a_label_may_look_like_no_labels() -> None:
    assert exposition([gauge("g", "G.", {(("l", "{}"),): 1})]).splitlines()[-1] == 'g{l="{}"} 1'


def test_a_histogram_counts_upwards_and_ends_at_infinity() -> None:
    observed = Buckets(bounds=(0.1, 1.0), counts=(2, 1, 1), total=7.65)

    (family,) = text_string_to_metric_families(exposition([histogram("d_seconds", "D.", {(("v", "x"),): observed})]))

    buckets = [(one.labels["le"], one.value) for one in family.samples if one.name.endswith("_bucket")]
    assert (family.type, buckets) == ("histogram", [("0.1", 2.0), ("1", 3.0), ("+Inf", 4.0)])
    assert {one.name: one.value for one in family.samples if "le" not in one.labels} == {
        "d_seconds_sum": 7.65,
        "d_seconds_count": 4.0,
    }


@pytest.mark.parametrize(("bounds", "counts"), [((1.0, 0.5), (0, 0, 0)), ((1.0, 1.0), (0, 0, 0)), ((1.0,), (0,))])
def test_buckets_that_cannot_be_counted_into_are_refused(bounds: tuple[float, ...], counts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="bounds must ascend"):
        Buckets(bounds=bounds, counts=counts, total=0)


def test_a_summary_without_observations_has_no_quantiles() -> None:
    assert [sample.suffix for sample in summary("s", "S.", 0, 0, []).samples] == ["_sum", "_count"]


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=50))
def test_a_quantile_is_an_observed_value_with_enough_below_it(seen: list[float]) -> None:
    for sample in summary("s", "S.", len(seen), sum(seen), seen).samples[:2]:
        assert sample.value in seen
        assert sum(value <= sample.value for value in seen) >= float(sample.labels["quantile"]) * len(seen)


def test_a_name_that_prometheus_refuses_is_refused() -> None:
    with pytest.raises(ValueError, match="name"):
        MetricFamily(name="a-b", type=MetricType.GAUGE, help="")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus")
def test_promtool_reads_it() -> None:
    text = exposition(
        [
            counter("good_total", "A counter.", 3),
            gauge("good_ratio", "A gauge.", {(("a", 'x"y'),): 0.5}),
            summary("good_seconds", "A summary.", 2, 3.5, [1.0, 2.5]),
            histogram("good_bytes", "A histogram.", {(): Buckets(bounds=(1.0,), counts=(1, 0), total=0.5)}),
            MetricFamily(name="none", type=MetricType.GAUGE, help="Nothing.", samples=()),
            MetricFamily(name="nan", type=MetricType.GAUGE, help="Nan.", samples=(MetricSample(value=math.nan),)),
        ]
    )

    read = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)

    assert (read.returncode, read.stderr) == (0, "")
