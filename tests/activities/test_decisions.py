"""What a plan says of itself before anybody approves it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from temporalio.client import Client

from activities import messages as m
from activities.context import Context
from activities.decisions import DecisionActivities
from config.home import Home
from config.settings import Settings
from tests.store.factories import NOON, call, decision, opportunity
from worker.main import built_context

NOW = NOON + timedelta(days=7)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    nobody = cast("Client", None)  # deciding speaks to no Temporal service
    with built_context(Home(tmp_path / "home").create(), Settings(), nobody) as built:
        yield built


def warnings(context: Context) -> tuple[str, ...]:
    moment = m.CycleMoment(cycle_id="cycle-1", at=NOW)
    return DecisionActivities(context).plan(opportunity(), decision(), moment).warnings


def test_a_plan_says_which_gates_the_calls_of_the_last_week_cannot_prove(context: Context) -> None:
    hours = 7 * 24
    context.store.calls.append(
        [call(3_600 * hour + minute, call_id=f"{hour}-{minute}") for hour in range(hours) for minute in range(25)]
    )
    context.store.calls.append([call(-3_600, call_id="long ago"), call(9, call_id="other", capability="other")])
    told = warnings(context)
    assert len(told) == 2
    assert "canary_5_percent" in told[0]
    assert "error_rate below 0.005 needs 756 calls and will get about 180" in told[0]


def test_a_plan_for_what_nobody_calls_says_so(context: Context) -> None:
    assert all(warning.endswith("No call has been seen yet.") for warning in warnings(context))
    assert len(warnings(context)) == 6


def test_a_busy_capability_needs_no_warning(context: Context) -> None:
    context.store.calls.append([call(number % 600_000, call_id=str(number)) for number in range(20_000)])
    assert warnings(context) == ()
