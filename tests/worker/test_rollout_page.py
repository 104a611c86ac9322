"""A rollout as a page: everything that was decided is on it, and nothing on it comes from elsewhere."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from config.home import Home
from domain.rollouts import (
    Evidence,
    GateLogEntry,
    Metric,
    Rollout,
    RolloutConfiguration,
    RolloutStatus,
    Sample,
    StageState,
)
from engines.evidence import bounds, log_e_above, log_e_below
from engines.gates import GOOD
from engines.rollouts import decide
from store.database import open_store
from tests.store.factories import NOON, version
from worker.cli import main
from worker.commands.session import SESSION
from worker.rollout_page import page

HOUR = timedelta(hours=1)
GATES = [
    {"metric": "error_rate", "threshold": 0.05, "evaluation_window": "PT1H"},
    {"metric": "latency_p95", "threshold": 800, "evaluation_window": "PT1H"},
]
STAGES = [
    {"name": "some", "traffic_percentage": 10, "duration": "PT4H", "gates": GATES},
    {"name": "all", "traffic_percentage": 100, "duration": "PT2H"},
]
PLAN = RolloutConfiguration.model_validate({"name": "small", "stages": STAGES})


def rollout(**fields: object) -> Rollout:
    values = {
        "id": "rollout-text",
        "upgrade_id": "text",
        "capability": "text",
        "control": version(),
        "candidate": version("1.1.0", "b"),
        "plan": PLAN,
        "status": RolloutStatus.ROLLED_BACK,
        **fields,
    }
    return Rollout.model_validate(values)


def looks(*bad_of_hour: int) -> list[GateLogEntry]:
    """Return hourly looks at a stage that gets 40 calls an hour."""
    entries: list[GateLogEntry] = []
    samples: list[Sample] = []
    for hour, bad in enumerate(bad_of_hour, start=1):
        window = {"window_start": NOON + (hour - 1) * HOUR, "window_end": NOON + hour * HOUR, "n": 40}
        samples += [Sample.model_validate({"metric": metric, "bad": bad, **window}) for metric in Metric]
        judged = decide(
            PLAN, StageState(index=0, started_at=NOON), Evidence(samples=tuple(samples)), NOON + hour * HOUR
        )
        entries.append(GateLogEntry(rollout_id="rollout-text", stage="some", at=NOON + hour * HOUR, decision=judged))
    return entries


def charts(document: str) -> list[ET.Element]:
    return [ET.fromstring(drawn) for drawn in re.findall(r"<svg.*?</svg>", document)]


def test_every_look_is_on_the_page_and_what_was_decided_is_drawn() -> None:
    seen = looks(0, 0, 1, 12)
    document = page(rollout(reason="it failed"), seen)
    for look in seen:
        assert f"{look.at:%Y-%m-%d %H:%M:%S}" in document
    assert "All 4 looks" in document
    assert "it failed" in document
    share, errors, slow = charts(document)
    assert [chart.get("aria-label") for chart in (share, errors, slow)] == [
        "Share of the callers",
        "Calls that failed (error_rate)",
        "Calls slower than 800 ms (latency_p95)",
    ]
    for chart in (share, errors, slow):
        assert [mark.get("class") for mark in chart.iter("text") if mark.get("class")] == ["rollback"]
    assert "12 bad" in "".join(errors.itertext()) or "13 bad" in "".join(errors.itertext())


def test_what_is_drawn_lies_within_the_chart() -> None:
    for chart in charts(page(rollout(), looks(40, 40, 0, 3))):
        _, _, width, height = map(float, str(chart.get("viewBox")).split())
        for line in (*chart.iter("polyline"), *chart.iter("polygon")):
            points = [tuple(map(float, point.split(","))) for point in str(line.get("points")).split()]
            assert all(0 <= x <= width and 0 <= y <= height for x, y in points)


def test_the_page_needs_nothing_and_runs_nothing() -> None:
    document = page(rollout(reason="<script>alert(1)</script> & more"), looks(0, 1))
    assert "<script" not in document
    assert "&lt;script&gt;" in document
    assert "http" not in document


def test_a_rollout_that_nobody_has_looked_at_has_a_page_too() -> None:
    assert "Nobody has looked yet." in page(rollout(control=None, status=RolloutStatus.PENDING), [])


def test_one_look_is_enough_to_draw() -> None:
    assert len(charts(page(rollout(), looks(0)))) == 3


@pytest.mark.parametrize(("n", "bad"), [(1, 0), (1, 1), (50, 0), (50, 50), (400, 7), (100_000, 100)])
def test_the_bounds_are_where_evidence_turns(n: int, bad: int) -> None:
    low, high = bounds(n, bad, GOOD)
    assert 0 <= low <= bad / n <= high <= 1
    if bad:
        assert log_e_above(low, n, bad) == pytest.approx(GOOD, abs=1e-3)
    if bad < n:
        assert log_e_below(high, n, bad) == pytest.approx(GOOD, abs=1e-3)


def test_the_command_line_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, file = Home(tmp_path / "home").create(), tmp_path / "pages" / "text.html"
    with closing(open_store(home.database_url)) as store:
        store.rollouts.put(rollout())
        for look in looks(0, 12):
            store.gate_log.append("rollout-text", look.stage, look.decision, look.at)
    SESSION.as_json, SESSION.code = False, 0
    assert main(["--home", str(home.root), "rollouts", "show", "text", "--page", str(file)]) == 0
    assert "All 2 looks" in file.read_text(encoding="utf-8")
    assert "text.html" in capsys.readouterr().out.replace("\n", "")


def test_without_calls_everything_is_possible() -> None:
    assert bounds(0, 0, GOOD) == (0, 1)
