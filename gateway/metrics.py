"""Spec 12.1, key metrics - decides what the door tells a monitoring system about itself.

Rules:
- Calls are counted by capability, version, variant and outcome; attempts that another version stood in for count too,
  marked as not final.
- Names that agents make up do not become labels: calls of unknown tools share one.
- The loop's own metrics are computed elsewhere and appended; when they cannot be, the door's are served all the same.

Not here: the text format (`gateway/exposition.py`), the loop's metrics.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from domain.calls import CallRecord
from domain.plugins import LoadedVersion
from gateway.exposition import Family, Histogram, Labels, Sample, counters, exposition, gauge, labels_of
from gateway.ledger import LedgerState

_LOG = logging.getLogger(__name__)

ExtraMetrics = Callable[[], str]
"""Returns more families, already written; called in a thread, may ask the store."""


@dataclass
class DoorMetrics:
    """Numbers the call path counts."""

    calls: Counter[Labels] = field(default_factory=Counter)
    durations: defaultdict[Labels, Histogram] = field(default_factory=lambda: defaultdict(Histogram))
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

    def families(self) -> list[Family]:
        """Return the families of the call path."""
        durations = tuple(
            sample for labels, histogram in self.durations.items() for sample in histogram.samples(labels)
        )
        return [
            counters("upgrade_loop_gateway_calls_total", "Attempts to serve calls.", self.calls),
            Family("upgrade_loop_gateway_call_duration_seconds", "histogram", "Duration of attempts.", durations),
            counters("upgrade_loop_gateway_swaps_total", "Routing tables put in force.", {(): float(self.swaps)}),
        ]


@dataclass(frozen=True)
class Standing:
    """What the rest of the gateway adds at the moment it is asked."""

    ready: bool
    generation: int
    in_flight: int
    versions: Sequence[LoadedVersion]
    ledger: LedgerState


def standing_families(standing: Standing) -> list[Family]:
    """Return the families that are read off, not counted."""
    by_version = {labels_of(version=one.version.id, digest=one.version.digest[:12]): one for one in standing.versions}
    ledger = standing.ledger
    return [
        gauge("upgrade_loop_gateway_ready", "1 when every control version is loaded.", float(standing.ready)),
        gauge("upgrade_loop_gateway_calls_in_flight", "Calls being answered.", standing.in_flight),
        gauge("upgrade_loop_gateway_routing_generation", "Number of the table in force.", standing.generation),
        counters(
            "upgrade_loop_gateway_plugin_restarts_total",
            "Plugin processes started again after they died.",
            {labels: float(one.restarts) for labels, one in by_version.items()},
        ),
        _gauges(
            "upgrade_loop_gateway_plugin_instances",
            "Plugin processes that answer.",
            {labels: float(one.instances) for labels, one in by_version.items()},
        ),
        _gauges(
            "upgrade_loop_gateway_plugin_resident_bytes",
            "Resident memory of a version's processes.",
            {labels: float(one.rss_bytes) for labels, one in by_version.items()},
        ),
        gauge("upgrade_loop_gateway_ledger_queued", "Ledger entries in memory.", ledger.queued),
        gauge("upgrade_loop_gateway_ledger_journalled", "Ledger entries in the journal.", ledger.journalled),
        gauge(
            "upgrade_loop_gateway_store_answers", "1 when the store took the last batch.", float(ledger.store_answers)
        ),
        counters(
            "upgrade_loop_gateway_ledger_lost_total",
            "Ledger entries given up because nothing took them.",
            {(): float(ledger.lost)},
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
    available, text = 1.0, ""
    try:
        text = extra()
    except Exception as error:
        _LOG.warning("The loop's metrics cannot be computed: %s", error)
        available = 0.0
    up = gauge("upgrade_loop_metrics_available", "1 when the loop's own metrics could be computed.", available)
    return exposition([up]) + text


def _gauges(name: str, description: str, values: dict[Labels, float]) -> Family:
    return Family(name, "gauge", description, tuple(Sample(value, labels) for labels, value in values.items()))
