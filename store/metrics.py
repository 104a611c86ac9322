"""Spec 12.1, key metrics - decides what the loop's metrics say, from what is remembered.

Rules:
- Every value is counted from records, so a restart of any process loses nothing and counts nothing twice.
- Cost: one pass over the records of cycles, opportunities, upgrades and experiments, at most `LIMIT` of each, the
  newest.

Not here: the text form (`domain/metrics.py`), the metrics of the door (`gateway/metrics.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from domain.cycles import CycleRecord, CycleStatus
from domain.experiments import Experiment, ExperimentStatus, Verdict
from domain.metrics import MetricFamily, counter, gauge, summary
from domain.opportunities import OpportunityStatus, UpgradeOpportunity
from domain.upgrades import UpgradeRecord, UpgradeStatus
from store.database import Store

LIMIT = 10_000

Labels = tuple[tuple[str, str], ...]

_WON_OR_LOST = frozenset({Verdict.SHIP, Verdict.ROLLBACK})


def loop_metrics(store: Store, now: datetime) -> list[MetricFamily]:
    """Return every metric of spec 12.1, and those of 10.2."""
    cycles = store.cycles.list(limit=LIMIT)
    upgrades = store.upgrades.list(limit=LIMIT)
    opportunities = store.opportunities.list(limit=LIMIT)
    return [
        *_of_cycles(cycles),
        *_of_decisions(opportunities, upgrades),
        *_of_upgrades(upgrades),
        *_of_durations(store, upgrades, now),
        *_of_experiments(store.experiments.list(limit=LIMIT)),
    ]


def _of_cycles(cycles: list[CycleRecord]) -> Iterable[MetricFamily]:
    ended = [cycle for cycle in cycles if cycle.ended_at is not None]
    succeeded = sum(cycle.status is CycleStatus.SUCCESS for cycle in cycles)
    seconds = [(cycle.ended_at - cycle.started_at).total_seconds() for cycle in ended if cycle.ended_at]
    yield counter("upgrade_cycles_total", "Total number of upgrade cycles run", len(cycles))
    yield _durations("upgrade_cycle_duration_seconds", "Duration of upgrade cycles", seconds)
    failed = sum(cycle.status is CycleStatus.FAILED for cycle in cycles)
    yield counter("upgrade_cycles_failed_total", "Number of failed upgrade cycles", failed)
    yield counter("upgrade_cycles_completed", "Number of upgrade cycles completed", succeeded)
    yield counter("patterns_detected_total", "Total patterns detected", sum(cycle.patterns for cycle in cycles))
    yield counter("gaps_identified_total", "Total capability gaps identified", sum(cycle.gaps for cycle in cycles))


def _of_decisions(opportunities: list[UpgradeOpportunity], upgrades: list[UpgradeRecord]) -> Iterable[MetricFamily]:
    rejected = sum(opportunity.status is OpportunityStatus.REJECTED for opportunity in opportunities)
    approved = sum(upgrade.status is not UpgradeStatus.REJECTED for upgrade in upgrades)
    confidences = [upgrade.confidence for upgrade in upgrades]
    mean = sum(confidences) / len(confidences) if confidences else 0.0
    found = len(opportunities)
    yield counter("upgrade_opportunities_total", "Total upgrade opportunities identified", found)
    yield counter("upgrades_approved_total", "Total upgrades approved", approved)
    yield counter("upgrades_rejected_total", "Total upgrades rejected", rejected)
    yield gauge("decision_confidence_avg", "Average decision confidence score", {(): mean})
    yield gauge("upgrade_decision_confidence", "Average confidence of upgrade decisions", {(): mean})


def _of_upgrades(upgrades: list[UpgradeRecord]) -> Iterable[MetricFamily]:
    taken_back = [upgrade for upgrade in upgrades if upgrade.status is UpgradeStatus.ROLLED_BACK]
    deployed = sum(upgrade.status is UpgradeStatus.DEPLOYED for upgrade in upgrades)
    ever_deployed = deployed + sum(upgrade.steps[-1:] == ("validation",) for upgrade in taken_back)
    rollbacks = [upgrade.rollback.seconds for upgrade in upgrades if upgrade.rollback]
    regressed = sum(bool(upgrade.stages) for upgrade in taken_back)
    yield counter("upgrades_deployed_total", "Total upgrades deployed", ever_deployed)
    yield counter("upgrades_deployed", "Number of upgrades successfully deployed", ever_deployed)
    yield counter("upgrades_rolled_back_total", "Total upgrades rolled back", len(taken_back))
    yield counter("upgrades_rolled_back", "Number of upgrades rolled back", len(taken_back))
    waiting = sum(upgrade.status is UpgradeStatus.NEEDS_ATTENTION for upgrade in upgrades)
    yield gauge("upgrades_needing_attention", "Upgrades that could not be taken back by themselves", {(): waiting})
    yield counter("upgrade_performance_regression_detected_total", "Performance regressions detected", regressed)
    yield _durations("upgrade_rollback_duration_seconds", "Time to rollback upgrades", rollbacks)


def _of_experiments(experiments: list[Experiment]) -> Iterable[MetricFamily]:
    analysed = [one.analysis for one in experiments if one.analysis is not None]
    completed = sum(one.ended_at is not None and one.status is not ExperimentStatus.CANCELLED for one in experiments)
    significant = sum(analysis.verdict in _WON_OR_LOST for analysis in analysed)
    yield counter("ab_experiments_created_total", "A/B experiments created", len(experiments))
    yield counter("ab_experiments_completed_total", "A/B experiments completed", completed)
    yield counter("ab_experiments_significant_results_total", "Experiments with significant results", significant)


def _of_durations(store: Store, upgrades: list[UpgradeRecord], now: datetime) -> Iterable[MetricFamily]:
    """Return how long the newest upgrade of each capability took or has been under way, and how long it should take."""
    newest: dict[str, UpgradeRecord] = {}
    for upgrade in upgrades:
        newest.setdefault(upgrade.capability, upgrade)
    taken: dict[Labels, float] = {}
    planned: dict[Labels, float] = {}
    for upgrade in newest.values():
        labels = (("capability", upgrade.capability), ("upgrade", upgrade.id))
        taken[labels] = ((upgrade.ended_at or now) - upgrade.started_at).total_seconds()
        plan = store.plans.find(upgrade.id)
        if plan is not None:
            planned[labels] = plan.planned_duration.total_seconds()
    yield gauge("upgrade_deployment_duration_seconds", "Time to deploy upgrades", taken)
    yield gauge("upgrade_planned_duration_seconds", "Time upgrades should take by their plans", planned)


def _durations(name: str, help_text: str, seconds: list[float]) -> MetricFamily:
    return summary(name, help_text, len(seconds), sum(seconds), seconds[:100])
