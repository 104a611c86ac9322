"""Spec 9.1, narration - decides whether a newcomer can follow the story, from real records in a real store."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from domain.base import JsonObject
from domain.rollouts import (
    GateEvaluation,
    GateFailureAction,
    GateVerdict,
    Metric,
    Rollout,
    RolloutAction,
    RolloutDecision,
    RolloutStatus,
    StageRecord,
    StageStatus,
)
from domain.upgrades import UpgradeStatus
from store.database import Store, open_store
from tests.store.factories import NOON, at, opportunity, rollout_plan, upgrade, version
from worker.commands.demo import Page
from worker.narration import Line, Mood, Narrator

UPGRADE = upgrade(from_version="1.0.0", to_version="1.1.0", status=UpgradeStatus.ROLLING_OUT)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{(tmp_path / 'loop.db').as_posix()}")
    opened.upgrades.put(UPGRADE)
    yield opened
    opened.close()


def happened(store: Store, action: str, subject: str = UPGRADE.id, **detail: str | float | bool) -> None:
    content: JsonObject = dict(detail)
    store.audit.append(
        key=f"{subject}/{action}", at=NOON, actor="owner", action=action, subject=subject, detail=content
    )


def told(store: Store) -> list[tuple[str, str, Mood]]:
    return [(line.subject, line.text, line.mood) for line in Narrator(store).news()]


def rolled_out(store: Store, *stages: StageRecord) -> None:
    store.rollouts.put(
        Rollout(
            id=f"rollout-{UPGRADE.id}",
            upgrade_id=UPGRADE.id,
            capability="text",
            control=version(),
            candidate=version("1.1.0", "b"),
            plan=rollout_plan(),
            status=RolloutStatus.RUNNING,
            stages=stages,
        )
    )


def stage(name: str, share: float, status: StageStatus, n: int = 0, bad: int = 0) -> StageRecord:
    return StageRecord(name=name, share=share, status=status, started_at=NOON, n=n, bad=bad)


def test_what_is_told_once_is_not_told_again(store: Store) -> None:
    narrator = Narrator(store)
    happened(store, "cycle.started", "cycle-1")
    assert len(list(narrator.news())) == 1
    assert list(narrator.news()) == []
    happened(store, "approval.approved")
    assert [line.text for line in narrator.news()] == ["owner says yes"]


def test_what_only_an_auditor_needs_is_left_out(store: Store) -> None:
    for action in ("phase.decision.running", "upgrade.waiting_for_slot", "snapshot.created", "step.dependencies"):
        happened(store, action)
    assert told(store) == []


def test_an_idea_is_told_with_its_capability_its_versions_and_whether_somebody_is_asked(store: Store) -> None:
    store.opportunities.put(
        opportunity(description="It is slow. text_tools@1.1.0 would replace text_tools@1.0.0: Fast.")
    )
    happened(store, "opportunity.found", "faster-text")
    happened(store, "decision.approved", "faster-text", composite=0.7649, needs_approval=True)
    assert told(store) == [
        ("text 1.0.0 -> 1.1.0", "found: It is slow", Mood.PLAIN),
        ("text 1.0.0 -> 1.1.0", "decided: worth it (0.76 of 1), but its owner is asked first", Mood.ASKS),
    ]


def test_a_stage_that_has_ended_is_told_with_its_counts_when_the_next_one_begins(store: Store) -> None:
    rolled_out(store, stage("canary", 0.2, StageStatus.PASSED, n=81), stage("everyone", 1, StageStatus.RUNNING))
    happened(store, "stage.canary.started")
    happened(store, "stage.everyone.started")
    assert [text for _, text, _ in told(store)] == [
        "canary: 1.1.0 serves 20 % of the callers from now on",
        "canary: proved good, 81 calls, 0 bad",
        "everyone: 1.1.0 serves all callers from now on",
    ]


def test_harm_is_told_with_what_was_proved(store: Store) -> None:
    rolled_out(store, stage("canary", 0.2, StageStatus.FAILED, n=84, bad=23))
    bad = GateEvaluation(
        metric=Metric.ERROR_RATE,
        threshold=0.1,
        n=84,
        bad=23,
        verdict=GateVerdict.PROVED_BAD,
        reason="1300 : 1",
        on_failure=GateFailureAction.ROLLBACK,
    )
    decision = RolloutDecision(action=RolloutAction.ROLLBACK, reason="bad", next_at=at(1), evaluations=(bad,))
    store.gate_log.append(f"rollout-{UPGRADE.id}", "canary", decision, NOON)
    happened(store, "rollout.rolled_back")
    expected = "gate: errors proved above 10 % (23 of 84 calls); no more calls for it"
    assert told(store) == [("text 1.0.0 -> 1.1.0", expected, Mood.BAD)]


def test_a_new_capability_is_told_as_new(store: Store) -> None:
    store.upgrades.put(UPGRADE.model_copy(update={"from_version": None, "capability": "units"}))
    happened(store, "upgrade.deployed")
    assert told(store) == [("units 1.1.0, new", "DEPLOYED: it serves everyone", Mood.GOOD)]


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "file"])
def test_colours_are_for_terminals_and_a_line_elsewhere_is_one_line(*, terminal: bool) -> None:
    out = io.StringIO()
    page = Page(Console(file=out, force_terminal=terminal, width=60, color_system="standard" if terminal else None))
    page.draw(Line(NOON, "demo", "starts"))
    page.draw(Line(NOON + timedelta(seconds=83), "text 1.0.0 -> 1.1.0", "word " * 30, Mood.BAD))
    assert ("\x1b[" in out.getvalue()) is terminal
    assert " 1:23" in out.getvalue()
    assert (len(out.getvalue().splitlines()) == 2) is not terminal
