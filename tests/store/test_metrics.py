"""Spec 12.1, key metrics: every name with its type, values that follow the records, the same after a restart."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from time import perf_counter
from typing import Any

import pytest

from domain.compensations import CompensationResult, RollbackResult, RollbackType
from domain.cycles import CycleStatus
from domain.experiments import (
    CapabilityVariant,
    Experiment,
    ExperimentAnalysis,
    ExperimentStatus,
    Hypothesis,
    SuccessCriteria,
    Verdict,
)
from domain.metrics import MetricFamily, exposition
from domain.opportunities import OpportunityStatus
from domain.rollouts import Rollout, RolloutStatus, StageRecord, StageStatus
from domain.upgrades import StepType, UpgradeStatus
from store.database import Store, open_store
from store.metrics import loop_metrics
from tests.house.test_metric_names import EXPORTED
from tests.store.factories import NOON, at, cycle, opportunity, plan, rollout_plan, upgrade, version

LATER = at(3_600)


def families(store: Store) -> dict[str, MetricFamily]:
    return {family.name: family for family in loop_metrics(store, LATER)}


def value(store: Store, name: str) -> float:
    (sample,) = families(store)[name].samples
    return sample.value


def totals(store: Store, name: str) -> tuple[float, float]:
    """Return count and sum of a summary."""
    samples = {sample.suffix: sample.value for sample in families(store)[name].samples if sample.suffix}
    return samples["_count"], samples["_sum"]


def taken_back(seconds: float, number: int = 1) -> RollbackResult:
    return RollbackResult(
        upgrade_id=f"upgrade-{number}",
        type=RollbackType.FULL,
        success=True,
        reason="a gate failed",
        compensation=CompensationResult(total=0, successful=0, failed=0, details=()),
        seconds=seconds,
    )


def experiment(number: int, verdict: Verdict | None, **fields: Any) -> Experiment:
    analysis = ExperimentAnalysis(pairs=20, verdict=verdict, reasons=("measured",)) if verdict else None
    variants = tuple(
        CapabilityVariant(name=name, version=version(), traffic_allocation=0.5) for name in ("control", "candidate")
    )
    values: dict[str, Any] = {
        "hypothesis": Hypothesis(statement="faster", metric="latency"),
        "variants": variants,
        "success_criteria": SuccessCriteria(),
        "created_at": NOON,
        "analysis": analysis,
        "ended_at": LATER if verdict else None,
        **fields,
    }
    return Experiment(id=f"experiment-{number}", upgrade_id=f"upgrade-{number}", capability="text", **values)


def rollout(number: int, status: StageStatus) -> Rollout:
    stage = StageRecord(name="everyone", share=1.0, status=status, started_at=NOON)
    return Rollout(
        id=f"rollout-{number}",
        upgrade_id=f"upgrade-{number}",
        capability="text",
        control=version(),
        candidate=version("1.1.0", "b"),
        plan=rollout_plan(),
        status=RolloutStatus.RUNNING,
        stages=(stage,),
    )


def fill(store: Store) -> None:
    store.cycles.put(cycle(1, status=CycleStatus.SUCCESS, patterns=3, gaps=2, ended_at=at(11)))
    store.cycles.put(cycle(2, status=CycleStatus.FAILED, patterns=1, ended_at=at(32)))
    store.cycles.put(cycle(3, patterns=1))
    store.opportunities.put(opportunity("one"))
    store.opportunities.put(opportunity("two", status=OpportunityStatus.REJECTED))
    validated = tuple(StepType)
    store.upgrades.put(upgrade(1, status=UpgradeStatus.DEPLOYED, steps=validated, ended_at=at(61), confidence=0.9))
    store.upgrades.put(
        upgrade(2, status=UpgradeStatus.ROLLED_BACK, steps=validated, rollback=taken_back(4.5, 2), confidence=0.7)
    )
    store.upgrades.put(upgrade(3, status=UpgradeStatus.REJECTED, opportunity_id="three", confidence=0.6))
    store.upgrades.put(upgrade(4, status=UpgradeStatus.NEEDS_ATTENTION, capability="dates", confidence=0.8))
    store.experiments.put(experiment(1, Verdict.SHIP, status=ExperimentStatus.ROLLOUT))
    store.experiments.put(experiment(2, Verdict.ROLLBACK, status=ExperimentStatus.ROLLBACK))
    store.experiments.put(experiment(3, Verdict.INCONCLUSIVE, status=ExperimentStatus.ROLLBACK))
    store.experiments.put(experiment(4, None, status=ExperimentStatus.CANCELLED, ended_at=LATER))
    store.experiments.put(experiment(5, None, status=ExperimentStatus.RUNNING))
    store.rollouts.put(rollout(1, StageStatus.PASSED))
    store.rollouts.put(rollout(2, StageStatus.FAILED))


@pytest.mark.parametrize("filled", [False, True])
def test_every_name_is_exported_once_with_its_type(store: Store, filled: bool) -> None:
    if filled:
        fill(store)

    found = loop_metrics(store, LATER)

    assert {family.name: family.type for family in found} == EXPORTED
    assert len(found) == len(EXPORTED)


def test_a_store_in_which_nothing_happened_says_zero_and_not_nothing(sqlite_store: Store) -> None:
    counters = [family for family in loop_metrics(sqlite_store, LATER) if family.type == "counter"]

    assert all([sample.value for sample in family.samples] == [0] for family in counters)
    assert value(sqlite_store, "decision_confidence_avg") == 0
    assert totals(sqlite_store, "upgrade_cycle_duration_seconds") == (0, 0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("upgrade_cycles_total", 3),
        ("upgrade_cycles_failed_total", 1),
        ("upgrade_cycles_completed", 1),
        ("patterns_detected_total", 5),
        ("gaps_identified_total", 2),
        ("upgrade_opportunities_total", 2),
        ("upgrades_approved_total", 3),
        ("upgrades_rejected_total", 2),
        ("decision_confidence_avg", 0.75),
        ("upgrade_decision_confidence", 0.75),
        ("upgrades_deployed_total", 2),
        ("upgrades_deployed", 2),
        ("upgrades_rolled_back_total", 1),
        ("upgrades_rolled_back", 1),
        ("upgrades_needing_attention", 1),
        ("upgrade_performance_regression_detected_total", 2),
        ("ab_experiments_created_total", 5),
        ("ab_experiments_completed_total", 3),
        ("ab_experiments_significant_results_total", 2),
    ],
)
def test_a_value_is_counted_from_the_records(sqlite_store: Store, name: str, expected: float) -> None:
    fill(sqlite_store)

    assert value(sqlite_store, name) == pytest.approx(expected)


def test_durations_are_those_of_what_has_ended(store: Store) -> None:
    fill(store)

    assert totals(store, "upgrade_cycle_duration_seconds") == (2, 10 + 30)
    assert totals(store, "upgrade_rollback_duration_seconds") == (1, 4.5)


def test_both_engines_say_the_same(sqlite_store: Store, store: Store) -> None:
    if store.place != sqlite_store.place:
        fill(sqlite_store)
    fill(store)

    assert exposition(loop_metrics(store, LATER)) == exposition(loop_metrics(sqlite_store, LATER))


def test_a_restart_loses_nothing_and_counts_nothing_twice(sqlite_url: str) -> None:
    first = open_store(sqlite_url)
    fill(first)
    before = exposition(loop_metrics(first, LATER))
    first.close()

    second = open_store(sqlite_url)
    after = exposition(loop_metrics(second, LATER))
    second.close()

    assert after == before


@pytest.mark.parametrize("status", [UpgradeStatus.ROLLING_BACK, UpgradeStatus.ROLLED_BACK])
def test_a_counter_does_not_fall_while_an_upgrade_is_taken_back(sqlite_store: Store, status: UpgradeStatus) -> None:
    sqlite_store.upgrades.put(upgrade(1, status=UpgradeStatus.DEPLOYED, steps=tuple(StepType)))
    before = value(sqlite_store, "upgrades_deployed_total")

    sqlite_store.upgrades.put(upgrade(1, status=status, steps=tuple(StepType)))

    assert value(sqlite_store, "upgrades_deployed_total") == before == 1


def test_an_upgrade_that_failed_half_way_was_never_deployed(sqlite_store: Store) -> None:
    sqlite_store.upgrades.put(upgrade(1, status=UpgradeStatus.ROLLED_BACK, steps=(StepType.SNAPSHOT, StepType.ROLLOUT)))

    assert value(sqlite_store, "upgrades_deployed_total") == 0


def test_the_two_durations_of_an_upgrade_carry_the_same_labels(store: Store) -> None:
    made = plan(1)
    store.plans.put(made)
    store.upgrades.put(upgrade(1).model_copy(update={"id": made.id}))
    store.upgrades.put(upgrade(2, capability="dates", ended_at=at(32)))

    found = families(store)
    taken = {sample.labels["upgrade"]: sample for sample in found["upgrade_deployment_duration_seconds"].samples}
    (planned,) = found["upgrade_planned_duration_seconds"].samples

    assert taken[made.id].labels == planned.labels == {"capability": "text", "upgrade": made.id}
    assert planned.value == made.planned_duration.total_seconds()
    assert (taken[made.id].value, taken["upgrade-2"].value) == (3_599, 30)


def test_the_duration_is_that_of_the_newest_upgrade_of_a_capability(sqlite_store: Store) -> None:
    sqlite_store.upgrades.put(upgrade(1, ended_at=at(10)))
    sqlite_store.upgrades.put(upgrade(2))

    (sample,) = families(sqlite_store)["upgrade_deployment_duration_seconds"].samples

    assert sample.labels["upgrade"] == "upgrade-2"


def test_quantiles_are_those_of_the_latest_hundred(sqlite_store: Store) -> None:
    with sqlite_store.transaction():
        for number in range(1, 151):
            seconds = 1_000 if number <= 50 else 10
            ended = at(number) + timedelta(seconds=seconds)
            sqlite_store.cycles.put(cycle(number, status=CycleStatus.SUCCESS, ended_at=ended))

    samples = families(sqlite_store)["upgrade_cycle_duration_seconds"].samples

    assert {sample.value for sample in samples if "quantile" in sample.labels} == {10}
    assert totals(sqlite_store, "upgrade_cycle_duration_seconds") == (150, 50 * 1_000 + 100 * 10)


def test_years_of_hourly_cycles_are_counted_whole_and_quickly(sqlite_store: Store) -> None:
    sqlite_store.cycles.put(cycle(0, status=CycleStatus.SUCCESS, patterns=1, ended_at=at(5)))
    with closing(sqlite3.connect(sqlite_store.place)) as database, database:
        database.execute(
            "INSERT INTO cycles (id, status, body) SELECT 'copy-' || value, status, body "
            "FROM cycles, (WITH RECURSIVE up(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM up LIMIT 20000) "
            "SELECT value FROM up)"
        )

    started = perf_counter()
    counted = value(sqlite_store, "patterns_detected_total")

    assert counted == 20_001
    assert perf_counter() - started < 5
