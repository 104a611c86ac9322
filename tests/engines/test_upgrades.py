"""Spec 9.1, plans: the steps in order, each with what takes it back."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from domain.compensations import CompensationKind
from domain.opportunities import Remedy
from domain.plugins import LoadingStrategy
from domain.rollouts import RolloutConfiguration
from domain.routing import Unit
from domain.upgrades import PlanOrigin, PlanPolicy, StepType, UpgradePlan
from engines.decisions import evaluate
from engines.upgrades import make_plan
from tests.engines.factories import HOUR, NOW, opportunity, remedy

ROLLOUT = RolloutConfiguration.model_validate(
    {
        "name": "standard",
        "unit": "call",
        "stages": [
            {"name": "canary", "traffic_percentage": 5, "duration": 48 * HOUR},
            {"name": "all", "traffic_percentage": 100, "duration": 168 * HOUR},
        ],
    }
)


def plan(
    *,
    ab_testing: bool = True,
    automatic_rollback: bool = True,
    rollout: RolloutConfiguration = ROLLOUT,
    **fields: Any,
) -> UpgradePlan:
    idea = opportunity(**fields)
    policy = PlanPolicy(rollout=rollout, ab_testing=ab_testing, automatic_rollback=automatic_rollback)
    return make_plan(idea, evaluate(idea, 1.0), policy, PlanOrigin(plan_id="plan-1", cycle_id="cycle-1", at=NOW))


def test_a_replacement_takes_all_steps_in_the_architectures_order() -> None:
    assert [step.type for step in plan().implementation_steps] == list(StepType)


GATE = {"metric": "error_rate", "threshold": 0.1, "evaluation_window": HOUR}


def at_once(**fields: Any) -> RolloutConfiguration:
    """Return a rollout whose only stage serves everyone."""
    stage = {"name": "all", "traffic_percentage": 100, "duration": HOUR, **fields}
    return RolloutConfiguration.model_validate({"name": "at once", "stages": [stage]})


@pytest.mark.parametrize(
    ("rollout", "cure", "strategy"),
    [
        (ROLLOUT, remedy(), LoadingStrategy.CANARY),
        (ROLLOUT, remedy(replaces=None), LoadingStrategy.CANARY),
        (ROLLOUT, remedy(side_by_side=False), LoadingStrategy.STANDARD),
        (at_once(gates=[GATE]), remedy(), LoadingStrategy.BLUE_GREEN),
        (at_once(gates=[GATE]), remedy(replaces=None), LoadingStrategy.HOT_SWAP),
        (at_once(), remedy(), LoadingStrategy.HOT_SWAP),
        (at_once(gates=[GATE]), remedy(side_by_side=False), LoadingStrategy.STANDARD),
    ],
)
def test_how_the_candidate_comes_into_service_follows_from_the_plan(
    rollout: RolloutConfiguration, cure: Remedy, strategy: LoadingStrategy
) -> None:
    assert plan(rollout=rollout, remedy=cure).loading_strategy is strategy


def test_a_version_that_must_be_alone_is_neither_measured_nor_shared_but_its_gates_stand() -> None:
    first, last = ROLLOUT.stages
    gates = at_once(gates=[GATE]).stages[0].gates
    gated = ROLLOUT.model_copy(update={"stages": (first.model_copy(update={"gates": gates}), last)})
    alone = plan(rollout=gated, remedy=remedy(side_by_side=False))

    assert {StepType.PERFORMANCE, StepType.EXPERIMENT}.isdisjoint(step.type for step in alone.implementation_steps)
    assert not alone.requires_ab_test
    (stage,) = alone.rollout_config.stages
    assert (stage.name, stage.share, stage.gates) == ("all", 1.0, gates)


def test_each_step_waits_for_the_one_before_it() -> None:
    steps = plan().implementation_steps

    assert steps[0].dependencies == ()
    assert all(later.dependencies == (earlier.id,) for earlier, later in pairwise(steps))


def test_every_step_that_changes_something_can_be_taken_back() -> None:
    taken_back = {step.type: step.rollback_action for step in plan().implementation_steps}

    assert taken_back == {
        StepType.SNAPSHOT: CompensationKind.RESTORE_SNAPSHOT,
        StepType.DEPENDENCIES: None,
        StepType.SECURITY: None,
        StepType.PERFORMANCE: CompensationKind.REMOVE_PLUGIN,
        StepType.EXPERIMENT: CompensationKind.CLOSE_EXPERIMENT,
        StepType.REGISTRATION: CompensationKind.REMOVE_PLUGIN,
        StepType.ROLLOUT: CompensationKind.RESTORE_ROUTE,
        StepType.VALIDATION: None,
    }


def test_the_rollout_takes_as_long_as_its_stages() -> None:
    durations = {step.type: step.estimated_duration for step in plan().implementation_steps}

    assert durations[StepType.ROLLOUT] == timedelta(hours=216)
    assert all(duration > timedelta(0) for duration in durations.values())


def test_a_replacement_must_win_an_experiment() -> None:
    tested = plan()

    assert tested.requires_ab_test
    assert tested.hypothesis is not None
    assert tested.success_criteria is not None
    assert [variant.version.id for variant in tested.variants] == ["text@1.0.0", "text@1.1.0"]
    assert sum(variant.traffic_allocation for variant in tested.variants) == 1


@pytest.mark.parametrize(("ab_testing", "new"), [(False, False), (True, True)])
def test_no_experiment_without_ab_testing_or_without_a_control(ab_testing: bool, new: bool) -> None:
    untested = plan(ab_testing=ab_testing, remedy=remedy(new=new))

    assert not untested.requires_ab_test
    assert untested.variants == ()
    assert StepType.EXPERIMENT not in [step.type for step in untested.implementation_steps]


def test_a_new_capability_is_given_to_whole_callers() -> None:
    assert plan(remedy=remedy(new=True)).rollout_config.unit is Unit.CALLER
    assert plan().rollout_config.unit is Unit.CALL


def test_the_plan_remembers_where_it_came_from() -> None:
    made = plan()

    assert (made.id, made.cycle_id, made.created_at, made.capability) == ("plan-1", "cycle-1", NOW, "text")


@pytest.mark.parametrize("fields", [{"remedy": None}, {"estimated_value": 0.0, "estimated_risk": 1.0}])
def test_what_was_not_approved_is_not_planned(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="opportunity-1 has no approved remedy"):
        plan(**fields)


def test_where_nothing_may_be_taken_back_without_a_person_no_stage_takes_itself_back() -> None:
    by_hand, by_itself = plan(automatic_rollback=False), plan()

    assert not by_hand.reversibility_plan.automatic
    assert not any(stage.auto_rollback.enabled for stage in by_hand.rollout_config.stages)
    assert all(stage.auto_rollback.enabled for stage in by_itself.rollout_config.stages)
