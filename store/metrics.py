"""Spec 12.1, key metrics - decides what the loop's metrics say, from what is remembered.

Rules:
- Every value is counted from records, so a restart of any process loses nothing and counts nothing twice.
- A counter counts what cannot be undone: an upgrade that was deployed stays counted while it is taken back.
- A regression is an experiment whose verdict, or a rollout one of whose stages, says that the candidate does harm.
- Only the fields that are counted are read. Cost: one pass over the cycles, opportunities, upgrades, experiments and
  rollouts, in the database; about 20 microseconds for each of them.

Not here: the text form (`domain/metrics.py`), the metrics of the door (`gateway/metrics.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from domain.cycles import CycleStatus
from domain.experiments import ExperimentStatus, Verdict
from domain.metrics import MetricFamily, counter, gauge, summary
from domain.opportunities import OpportunityStatus
from domain.rollouts import StageStatus
from domain.upgrades import StepType, UpgradeStatus
from store.database import Store

Labels = tuple[tuple[str, str], ...]

_WON_OR_LOST: Final = frozenset({Verdict.SHIP, Verdict.ROLLBACK})
_NOT_APPROVED: Final = frozenset({UpgradeStatus.AWAITING_APPROVAL, UpgradeStatus.REJECTED})
_RECENT: Final = 100
"""Observations from which the quantiles of a summary are taken."""


class _Upgrade(NamedTuple):
    """What is counted of an upgrade; moments as they are kept, in ISO 8601."""

    id: str
    capability: str
    opportunity_id: str
    status: str
    confidence: float
    started_at: str
    ended_at: str | None
    steps: Sequence[str]
    rollback_seconds: float | None


def loop_metrics(store: Store, now: datetime) -> list[MetricFamily]:
    """Return every metric of spec 12.1, and those of 10.2."""
    paths = (*_Upgrade._fields[:-1], "rollback.seconds")
    upgrades = [_Upgrade._make(row) for row in store.upgrades.extract(*paths)]
    return [
        *_of_cycles(store),
        *_of_decisions(store, upgrades),
        *_of_upgrades(upgrades),
        *_of_durations(store, upgrades, now),
        *_of_evidence(store),
    ]


def _of_cycles(store: Store) -> Iterator[MetricFamily]:
    cycles = store.cycles.extract("status", "patterns", "gaps", "started_at", "ended_at")
    statuses = [status for status, *_ in cycles]
    seconds = [_seconds(started, ended) for *_, started, ended in cycles if ended is not None]
    patterns, gaps = sum(row[1] for row in cycles), sum(row[2] for row in cycles)
    yield counter("upgrade_cycles_total", "Total number of upgrade cycles run", len(cycles))
    yield _durations("upgrade_cycle_duration_seconds", "Duration of upgrade cycles", seconds)
    yield counter("upgrade_cycles_failed_total", "Number of failed upgrade cycles", statuses.count(CycleStatus.FAILED))
    succeeded = statuses.count(CycleStatus.SUCCESS)
    yield counter("upgrade_cycles_completed", "Number of upgrade cycles completed", succeeded)
    yield counter("patterns_detected_total", "Total patterns detected", patterns)
    yield counter("gaps_identified_total", "Total capability gaps identified", gaps)


def _of_decisions(store: Store, upgrades: Sequence[_Upgrade]) -> Iterator[MetricFamily]:
    opportunities = store.opportunities.extract("id", "status")
    rejected = {found for found, status in opportunities if status == OpportunityStatus.REJECTED}
    rejected |= {upgrade.opportunity_id for upgrade in upgrades if upgrade.status == UpgradeStatus.REJECTED}
    approved = sum(upgrade.status not in _NOT_APPROVED for upgrade in upgrades)
    mean = sum(upgrade.confidence for upgrade in upgrades) / len(upgrades) if upgrades else 0.0
    yield counter("upgrade_opportunities_total", "Total upgrade opportunities identified", len(opportunities))
    yield counter("upgrades_approved_total", "Total upgrades approved", approved)
    yield counter("upgrades_rejected_total", "Total upgrades rejected", len(rejected))
    yield gauge("decision_confidence_avg", "Average decision confidence score", {(): mean})
    yield gauge("upgrade_decision_confidence", "Average confidence of upgrade decisions", {(): mean})


def _of_upgrades(upgrades: Sequence[_Upgrade]) -> Iterator[MetricFamily]:
    deployed = sum(
        upgrade.status == UpgradeStatus.DEPLOYED or StepType.VALIDATION in upgrade.steps for upgrade in upgrades
    )
    taken_back = [upgrade for upgrade in upgrades if upgrade.status == UpgradeStatus.ROLLED_BACK]
    rollbacks = [upgrade.rollback_seconds for upgrade in upgrades if upgrade.rollback_seconds is not None]
    waiting = sum(upgrade.status == UpgradeStatus.NEEDS_ATTENTION for upgrade in upgrades)
    yield counter("upgrades_deployed_total", "Total upgrades deployed", deployed)
    yield counter("upgrades_deployed", "Number of upgrades successfully deployed", deployed)
    yield counter("upgrades_rolled_back_total", "Total upgrades rolled back", len(taken_back))
    yield counter("upgrades_rolled_back", "Number of upgrades rolled back", len(taken_back))
    yield gauge("upgrades_needing_attention", "Upgrades that could not be taken back by themselves", {(): waiting})
    yield _durations("upgrade_rollback_duration_seconds", "Time to rollback upgrades", rollbacks)


def _of_evidence(store: Store) -> Iterator[MetricFamily]:
    experiments = store.experiments.extract("status", "ended_at", "analysis.verdict")
    completed = sum(ended is not None and status != ExperimentStatus.CANCELLED for status, ended, _ in experiments)
    verdicts = [verdict for *_, verdict in experiments]
    significant = sum(verdict in _WON_OR_LOST for verdict in verdicts)
    harmful = sum(_has_failed(stages) for (stages,) in store.rollouts.extract("stages"))
    regressed = verdicts.count(Verdict.ROLLBACK) + harmful
    yield counter("ab_experiments_created_total", "A/B experiments created", len(experiments))
    yield counter("ab_experiments_completed_total", "A/B experiments completed", completed)
    yield counter("ab_experiments_significant_results_total", "Experiments with significant results", significant)
    yield counter("upgrade_performance_regression_detected_total", "Performance regressions detected", regressed)


def _has_failed(stages: Sequence[dict[str, Any]]) -> bool:
    return any(stage["status"] == StageStatus.FAILED for stage in stages)


def _of_durations(store: Store, upgrades: Sequence[_Upgrade], now: datetime) -> Iterator[MetricFamily]:
    """Return how long the newest upgrade of each capability took or has been under way, and how long it should take."""
    newest: dict[str, _Upgrade] = {}
    for upgrade in upgrades:
        newest.setdefault(upgrade.capability, upgrade)
    taken: dict[Labels, float] = {}
    planned: dict[Labels, float] = {}
    for upgrade in newest.values():
        labels = (("capability", upgrade.capability), ("upgrade", upgrade.id))
        taken[labels] = _seconds(upgrade.started_at, upgrade.ended_at or now.isoformat())
        plan = store.plans.find(upgrade.id)
        if plan is not None:
            planned[labels] = plan.planned_duration.total_seconds()
    yield gauge("upgrade_deployment_duration_seconds", "Time to deploy upgrades", taken)
    yield gauge("upgrade_planned_duration_seconds", "Time upgrades should take by their plans", planned)


def _durations(name: str, help_text: str, seconds: list[float]) -> MetricFamily:
    return summary(name, help_text, len(seconds), sum(seconds), seconds[:_RECENT])


def _seconds(started: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
