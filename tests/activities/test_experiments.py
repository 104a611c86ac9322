"""Paired replays on real plugin processes: the noise of a host does not decide, a slow candidate is found."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities import messages as m
from activities.context import Context
from activities.experiments import ExperimentActivities
from config.home import Home
from config.settings import Settings
from domain.experiments import CapabilityVariant, Experiment, Hypothesis, SuccessCriteria, Verdict
from domain.routing import PluginVersion, VariantName
from tests.plugins.factories import ADD, a_manifest, add_package, numbers_plugin, write_package
from worker.main import built_context

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLES = [{"arguments": {"a": one, "b": 3}, "result": {"sum": one + 3}} for one in range(10)]
PLAIN = "def add(self, a, b): return {'sum': a + b}"
HEAD = "import itertools, time\ncounted = itertools.count()"
NOISY = """
def add(self, a, b):
    time.sleep(0.08 if next(counted) % 15 < 2 else 0)
    return {'sum': a + b}
"""
SLOW = """
def add(self, a, b):
    time.sleep(0.03)
    return {'sum': a + b}
"""


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    nobody = cast("Client", None)  # these activities speak to no Temporal service
    with built_context(Home(tmp_path / "home"), Settings(), nobody) as built:
        yield built


def version(context: Context, root: Path, number: str, code: str) -> PluginVersion:
    manifest = a_manifest({**ADD, "examples": EXAMPLES}, version=number)
    return add_package(context.packages, write_package(root / number, manifest, numbers_plugin(code, HEAD)))


async def analysed(context: Context, root: Path, code: str) -> Experiment:
    """Return the experiment of a plain version against a candidate of this code."""
    control, candidate = version(context, root, "1.0.0", PLAIN), version(context, root, "1.1.0", code)
    variants = (
        CapabilityVariant(name=VariantName.CONTROL, version=control, traffic_allocation=0.5),
        CapabilityVariant(name=VariantName.CANDIDATE, version=candidate, traffic_allocation=0.5),
    )
    experiment = Experiment(
        id="experiment-1",
        upgrade_id="up-1",
        capability="numbers",
        hypothesis=Hypothesis(statement="It answers as its control does.", metric="error_rate"),
        variants=variants,
        success_criteria=SuccessCriteria(),
        created_at=NOW,
    )
    run: Any = ExperimentActivities(context).run_experiment
    return cast("Experiment", await ActivityEnvironment().run(run, m.ExperimentReport(experiment=experiment, at=NOW)))


async def test_the_noise_of_a_host_is_measured_away(context: Context, tmp_path: Path) -> None:
    found = (await analysed(context, tmp_path, NOISY)).analysis
    assert found is not None
    assert found.verdict is Verdict.SHIP, found.reasons


async def test_a_slow_candidate_is_rolled_back(context: Context, tmp_path: Path) -> None:
    found = (await analysed(context, tmp_path, SLOW)).analysis
    assert found is not None
    assert found.verdict is Verdict.ROLLBACK, found.reasons
