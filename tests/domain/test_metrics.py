"""Spec 12.1, metric families - decides whether Prometheus would read what is written.

The judge is Prometheus' own `promtool`, and the text format's specification where that is not installed.
"""

from __future__ import annotations

import math
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.metrics import MetricFamily, MetricSample, MetricType, counter, exposition, gauge, summary


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
            MetricFamily(name="none", type=MetricType.GAUGE, help="Nothing.", samples=()),
            MetricFamily(name="nan", type=MetricType.GAUGE, help="Nan.", samples=(MetricSample(value=math.nan),)),
        ]
    )

    read = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)

    assert (read.returncode, read.stderr) == (0, "")
