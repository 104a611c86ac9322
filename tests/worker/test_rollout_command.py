"""`upgrade-loop rollout simulate`: plans of every form, traces with and without mistakes, and what a person reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from worker.cli import main
from worker.commands.session import SESSION

STAGES = """
stages:
  - name: everyone
    traffic_percentage: 100
    duration: PT1H
    gates: [{metric: error_rate, threshold: 0.05, evaluation_window: PT1H}]
"""
TRACE = [{"at": at, "metric": "error_rate", "variant": "candidate", "n": 50, "bad": 0} for at in (1_200, 2_400, 3_600)]


def indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def simulate(folder: Path, plan: str, trace: str, *more: str) -> int:
    (folder / "plan.yaml").write_text(plan, encoding="utf-8")
    (folder / "trace.jsonl").write_text(trace, encoding="utf-8")
    SESSION.as_json, SESSION.code = False, 0
    return main(["rollout", "simulate", str(folder / "plan.yaml"), "--trace", str(folder / "trace.jsonl"), *more])


def as_trace(*lines: object) -> str:
    return "\n\n".join(json.dumps(line) for line in lines)


@pytest.mark.parametrize("plan", [STAGES, f"rollouts:\n  quick:{indented(STAGES)}"])
def test_a_plan_is_tried_on_a_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str], plan: str) -> None:
    assert simulate(tmp_path, plan, as_trace(*TRACE), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["outcome"] == "complete"
    assert {*told["decisions"][-1]} == {"at", "stage", "verdict", "action", "reason"}
    assert (told["decisions"][-1]["at"], told["decisions"][-1]["action"]) == (3_600, "advance")


def test_a_person_reads_what_changed_and_how_it_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(tmp_path, STAGES, as_trace(*TRACE)) == 0
    said = capsys.readouterr().out
    assert "advance" in said
    assert "outcome: complete" in said


def test_of_several_plans_one_has_to_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plans = f"rollouts:\n  one:{indented(STAGES)}\n  two:{indented(STAGES)}"
    assert simulate(tmp_path, plans, as_trace(*TRACE)) != 0
    assert "has 2 plans: one, two. Say which one with --name." in " ".join(capsys.readouterr().err.split())
    assert simulate(tmp_path, plans, as_trace(*TRACE), "--name", "two") == 0
    assert simulate(tmp_path, plans, as_trace(*TRACE), "--name", "three") != 0


@pytest.mark.parametrize(
    ("trace", "said"),
    [
        (as_trace(TRACE[0], {"at": 5, "metric": "error_rate", "n": 1, "bad": 2}), "line 3: the line"),
        (as_trace({**TRACE[0], "metric": "smell"}), "line 1: metric"),
        ("not json", "line 1"),
    ],
)
def test_a_mistake_in_a_trace_is_told_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], trace: str, said: str
) -> None:
    assert simulate(tmp_path, STAGES, trace) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert said in told
    assert 'A line is like {"at": 3600' in told


def test_a_mistake_in_a_plan_is_told_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(tmp_path, STAGES.replace("duration", "durations"), as_trace(*TRACE)) != 0
    assert "stages[0].duration is missing in " in capsys.readouterr().err


def test_files_that_are_not_there_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(tmp_path, STAGES, "") == 0
    (tmp_path / "trace.jsonl").unlink()
    assert main(["rollout", "simulate", str(tmp_path / "plan.yaml"), "--trace", str(tmp_path / "trace.jsonl")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def size(folder: Path, *more: str) -> int:
    (folder / "plan.yaml").write_text(STAGES, encoding="utf-8")
    SESSION.as_json, SESSION.code = False, 0
    return main(["rollout", "size", str(folder / "plan.yaml"), *more])


def test_a_plan_is_sized_for_a_rate_of_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert size(tmp_path, "--calls-per-hour", "5", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [(gate["stage"], gate["needed"], gate["provable"]) for gate in told["gates"]] == [("everyone", 74, False)]
    assert "Enough would be 0.6 days." in told["warnings"][0]
    assert size(tmp_path, "--calls-per-hour", "50") == 0
    said = capsys.readouterr().out
    assert "yes" in said
    assert "will end in a question" not in said


def test_a_rate_below_zero_is_refused(tmp_path: Path) -> None:
    assert size(tmp_path, "--calls-per-hour", "-1") == 2
