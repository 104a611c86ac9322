"""Spec 4.1, experiments - decides how an experiment gets its evidence and how it is remembered.

Rules:
- The evidence is a paired replay: the same recorded calls through both versions, away from the agent. It needs no
  second user, and no caller meets a version that has not won.
- Where only the noise of a busy host leaves latency open, the replay is run again with more runs of each call.

Not here: the statistics (`engines/experiments.py`), the lifecycle (`workflows/experiment.py`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from temporalio import activity

from activities import messages as m
from activities.context import LOOP, Context, beating
from activities.replay import ReplayCall, calls_for, measure_pair
from domain.experiments import Experiment, ExperimentAnalysis, SuccessCriteria
from domain.routing import PluginVersion
from engines.experiments import analyse, only_latency_is_open, required_pairs

REPEATS = 3
MORE_REPEATS = 3
"""How many times as many runs a replay has that is run again."""
MOST_SECONDS = 60.0
"""What a replay that is run again may be expected to take."""


class ExperimentActivities:
    """Runs and remembers experiments."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    @activity.defn
    def record_experiment(self, message: m.ExperimentReport) -> m.Done:
        """Remember an experiment as it is now."""
        experiment = message.experiment
        self._store.experiments.put(experiment)
        verdict = experiment.analysis.verdict if experiment.analysis else None
        self._store.audit.append(
            key=f"{experiment.id}/{experiment.status}",
            at=message.at,
            actor=LOOP,
            action=f"experiment.{experiment.status}",
            subject=experiment.upgrade_id,
            detail={"verdict": verdict},
        )
        return m.Done()

    @activity.defn
    async def run_experiment(self, message: m.ExperimentReport) -> Experiment:
        """Replay recorded calls through both versions and return the experiment with its analysis."""
        experiment = message.experiment
        control, candidate = (variant.version for variant in experiment.variants[:2])
        contract = self._context.packages.get(control.digest).contract
        samples = self._context.settings.ab_testing.replay_samples
        calls = await calls_for(self._context, contract, experiment.capability, samples)
        async with beating():
            analysis = await self._analyse((control, candidate), calls, experiment.success_criteria)
        needed = required_pairs(experiment.success_criteria)
        return experiment.model_copy(update={"analysis": analysis, "required_sample_size": needed})

    async def _analyse(
        self, versions: tuple[PluginVersion, PluginVersion], calls: Sequence[ReplayCall], criteria: SuccessCriteria
    ) -> ExperimentAnalysis:
        repeats = REPEATS
        while True:
            begun = time.monotonic()
            measured = await measure_pair(self._context, *versions, calls, repeats)
            analysis = analyse(measured.pairs, criteria)
            expected = (time.monotonic() - begun) * MORE_REPEATS
            if not only_latency_is_open(analysis, criteria) or expected > MOST_SECONDS:
                return analysis
            repeats *= MORE_REPEATS
