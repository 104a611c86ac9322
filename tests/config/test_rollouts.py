"""Spec 5.2, STANDARD_ROLLOUT_CONFIG - decides whether the plans are the specification's, and how a wrong one is told.

Not here: what a plan does (`tests/engines/test_rollouts.py`).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from config.home import Home
from config.rollouts import ROLLOUTS_FILE_NAME, load_rollouts, plan_named, read_rollouts
from domain.errors import ConfigurationInvalid
from domain.rollouts import GateCondition, GateFailureAction, Metric, RolloutConfiguration

STAGE = "  quick:\n    stages:\n      - name: all\n        traffic_percentage: 100\n        duration: PT1H\n"
GATE = "        gates:\n          - {metric: error_rate, threshold: 0.01, evaluation_window: PT1H}\n"


def standard(home: Home) -> RolloutConfiguration:
    return load_rollouts(home)["standard"]


def refused(path: Path, text: str) -> str:
    path.write_text(f"rollouts:\n{text}", encoding="utf-8")
    with pytest.raises(ConfigurationInvalid) as caught:
        read_rollouts(path)
    return caught.value.message


def test_the_stages_are_those_of_the_spec(home: Home) -> None:
    stages = [(stage.name, stage.traffic_percentage, stage.duration) for stage in standard(home).stages]

    assert stages == [
        ("internal_testing", 0.0, timedelta(hours=24)),
        ("canary_5_percent", 5.0, timedelta(hours=48)),
        ("gradual_expansion", 25.0, timedelta(hours=72)),
        ("full_rollout", 100.0, timedelta(hours=168)),
    ]


def test_the_gates_are_those_of_the_spec(home: Home) -> None:
    internal, canary, *later = standard(home).stages
    (errors,) = internal.gates
    strict, latency = canary.gates

    assert (errors.metric, errors.threshold, errors.evaluation_window) == (Metric.ERROR_RATE, 0.01, timedelta(hours=1))
    assert (strict.metric, strict.threshold, strict.evaluation_window) == (Metric.ERROR_RATE, 0.005, timedelta(hours=2))
    assert (latency.metric, latency.threshold, latency.evaluation_window) == (
        Metric.LATENCY_P99,
        1_000,
        timedelta(hours=1),
    )
    assert {gate.condition for gate in (errors, strict, latency)} == {GateCondition.LESS_THAN}
    assert {gate.on_failure for gate in (errors, strict, latency)} == {GateFailureAction.ROLLBACK}
    assert all(stage.gates == canary.gates for stage in later), "where the spec writes [...]"


def test_every_shipped_stage_has_gates_and_takes_itself_back(home: Home) -> None:
    for plan in load_rollouts(home).values():
        assert all(stage.gates and stage.auto_rollback.enabled for stage in plan.stages)


def test_the_homes_file_replaces_the_shipped_one_whole(home: Home) -> None:
    (home.config / ROLLOUTS_FILE_NAME).write_text(f"rollouts:\n{STAGE}{GATE}", encoding="utf-8")

    assert list(load_rollouts(home)) == ["quick"]


def test_a_name_that_no_plan_has_names_the_plans(home: Home) -> None:
    with pytest.raises(ConfigurationInvalid, match="no rollout plan 'speedy'; known plans: new_capability, standard"):
        plan_named(load_rollouts(home), "speedy")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (STAGE.replace("duration", "durations"), "the nearest known key is rollouts.quick.stages[0].duration"),
        (STAGE.replace("PT1H", "soon"), "rollouts.quick.stages[0].duration in"),
        (STAGE.replace("100", "50"), "the last stage, all, must serve 100 %"),
        (STAGE.replace("        traffic_percentage: 100\n", ""), "stages[0].traffic_percentage is missing"),
        (STAGE + GATE.replace("error_rate", "eror_rate"), "gates[0].metric"),
        (STAGE + GATE.replace("threshold", "treshold"), "gates[0].threshold"),
        (STAGE + GATE.replace("0.01", "5"), "an error rate is a share of calls"),
        ("  quick:\n    stages: []\n", "rollouts.quick.stages"),
        ("  quick: 5\n", "rollouts.quick in"),
    ],
)
def test_a_wrong_plan_names_the_key(tmp_path: Path, text: str, said: str) -> None:
    assert said in refused(tmp_path / "rollouts.yaml", text)


def test_a_wrong_plan_names_the_line(tmp_path: Path) -> None:
    assert ", line 6 " in refused(tmp_path / "rollouts.yaml", STAGE.replace("PT1H", "soon"))
