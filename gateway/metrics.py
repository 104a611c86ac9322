"""Spec 12.1, key metrics - decides what the door tells a monitoring system about itself.

Rules:
- Calls are counted by capability, version, variant and outcome; attempts that another version stood in for count too,
  marked as not final.
- Names that agents make up do not become labels: calls of unknown tools share one.
- The loop's own metrics are computed elsewhere and appended; when they cannot be, the door's are served all the same.

Not here: the text format (`domain/metrics.py`), the loop's metrics (`store/metrics.py`).
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from domain.calls import CallRecord
from domain.metrics import Buckets, Labels, MetricFamily, counter, counters, exposition, gauge, histogram
from domain.network import NetworkRequest
from domain.plugins import LoadedVersion
from gateway.ledger import LedgerState

_LOG = logging.getLogger(__name__)
DURATION_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

ExtraMetrics = Callable[[], str]
"""Returns more families, already written; called in a thread, may ask the store."""


@dataclass
class Durations:
    """How long attempts took, counted into `DURATION_BOUNDS`; in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(DURATION_BOUNDS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one attempt."""
        self.counts[bisect_left(DURATION_BOUNDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> Buckets:
        """Return what has been observed so far."""
        return Buckets(bounds=DURATION_BOUNDS, counts=tuple(self.counts), total=self.total)


@dataclass
class DoorMetrics:
    """Numbers the call path counts."""

    calls: Counter[Labels] = field(default_factory=Counter)
    durations: defaultdict[Labels, Durations] = field(default_factory=lambda: defaultdict(Durations))
    requests: Counter[Labels] = field(default_factory=Counter)
    swaps: int = 0

    def count(self, record: CallRecord) -> None:
        """Count one attempt."""
        reached = record.version is not None
        capability = record.capability if reached or record.variant else "none"
        self.calls[
            labels_of(
                capability=capability,
                version=record.version or "none",
                variant=record.variant or "none",
                outcome=record.error or "ok",
                final="true" if record.final else "false",
            )
        ] += 1
        if reached:
            labels = labels_of(capability=capability, version=record.version or "none")
            self.durations[labels].observe(record.duration_ms / 1_000)

    def count_request(self, request: NetworkRequest) -> None:
        """Count one HTTP request that a plugin asked for."""
        self.requests[labels_of(version=request.plugin, outcome=request.outcome)] += 1

    def families(self) -> list[MetricFamily]:
        """Return the families of the call path; may be called in another thread than `count`."""
        calls = {labels: float(count) for labels, count in list(self.calls.items())}
        requests = {labels: float(count) for labels, count in list(self.requests.items())}
        durations = {labels: one.buckets() for labels, one in list(self.durations.items())}
        return [
            counters("upgrade_loop_gateway_calls_total", "Attempts to serve calls.", calls),
            histogram("upgrade_loop_gateway_call_duration_seconds", "Duration of attempts.", durations),
            counters("upgrade_loop_gateway_plugin_requests_total", "HTTP requests made for plugins.", requests),
            counter("upgrade_loop_gateway_swaps_total", "Routing tables put in force.", self.swaps),
        ]


@dataclass(frozen=True)
class Standing:
    """What the rest of the gateway adds at the moment it is asked."""

    ready: bool
    generation: int
    in_flight: int
    versions: Sequence[LoadedVersion]
    ledger: LedgerState


def standing_families(standing: Standing) -> list[MetricFamily]:
    """Return the families that are read off, not counted."""
    by_version = {labels_of(version=one.version.id, digest=one.version.digest[:12]): one for one in standing.versions}
    ledger = standing.ledger
    return [
        _single("upgrade_loop_gateway_ready", "1 when every control version is loaded.", standing.ready),
        _single("upgrade_loop_gateway_calls_in_flight", "Calls being answered.", standing.in_flight),
        _single("upgrade_loop_gateway_routing_generation", "Number of the table in force.", standing.generation),
        counters(
            "upgrade_loop_gateway_plugin_restarts_total",
            "Plugin processes started again after they died.",
            {labels: one.restarts for labels, one in by_version.items()},
        ),
        gauge(
            "upgrade_loop_gateway_plugin_instances",
            "Plugin processes that answer.",
            {labels: one.instances for labels, one in by_version.items()},
        ),
        gauge(
            "upgrade_loop_gateway_plugin_resident_bytes",
            "Resident memory of a version's processes.",
            {labels: one.rss_bytes for labels, one in by_version.items()},
        ),
        _single("upgrade_loop_gateway_ledger_queued", "Ledger entries in memory.", ledger.queued),
        _single("upgrade_loop_gateway_ledger_journalled", "Ledger entries in the journal.", ledger.journalled),
        _single("upgrade_loop_gateway_store_answers", "1 when the store took the last batch.", ledger.store_answers),
        counter(
            "upgrade_loop_gateway_ledger_lost_total", "Ledger entries given up because nothing took them.", ledger.lost
        ),
    ]


def page(metrics: DoorMetrics, standing: Standing, extra: ExtraMetrics | None) -> str:
    """Write the whole page.

    Args:
        metrics: what the call path counted.
        standing: how the gateway stands.
        extra: the loop's metrics, if somebody computes them.
    """
    own = exposition([*metrics.families(), *standing_families(standing)])
    return own + (_appended(extra) if extra else "")


def _appended(extra: ExtraMetrics) -> str:
    available, text = True, ""
    try:
        text = extra()
    except Exception as error:
        _LOG.warning("The loop's metrics cannot be computed: %s", error)
        available = False
    up = _single("upgrade_loop_metrics_available", "1 when the loop's own metrics could be computed.", available)
    return exposition([up]) + text


def labels_of(**labels: str) -> Labels:
    """Return labels in the order given."""
    return tuple(labels.items())


def _single(name: str, description: str, value: float) -> MetricFamily:
    return gauge(name, description, {(): float(value)})
