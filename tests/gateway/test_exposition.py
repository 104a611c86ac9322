"""Numbers as Prometheus reads them, checked with its own reference parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from gateway.exposition import Family, Histogram, counters, exposition, gauge, labels_of


def test_labels_are_escaped_and_read_back_as_they_were() -> None:
    nasty = 'a\\b"c\nd{}'
    text = exposition([counters("calls_total", "Calls.", {labels_of(name=nasty): 3.0})])
    (family,) = text_string_to_metric_families(text)
    assert [(sample.labels, sample.value) for sample in family.samples] == [({"name": nasty}, 3.0)]


def test_a_histogram_counts_upwards_and_ends_at_infinity() -> None:
    histogram = Histogram(bounds=(0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(seconds)
    text = exposition([Family("d_seconds", "histogram", "D.", tuple(histogram.samples(labels_of(v="x"))))])
    (family,) = text_string_to_metric_families(text)
    buckets = [(one.labels["le"], one.value) for one in family.samples if one.name.endswith("_bucket")]
    assert buckets == [("0.1", 2.0), ("1", 3.0), ("+Inf", 4.0)]
    assert {one.name: one.value for one in family.samples if "le" not in one.labels} == {
        "d_seconds_sum": 7.65,
        "d_seconds_count": 4.0,
    }


def test_a_number_without_labels_has_no_braces() -> None:
    assert exposition([gauge("up", "Up.", 1)]).splitlines()[-1] == "up 1"
