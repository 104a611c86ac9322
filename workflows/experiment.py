"""Spec 4.2, experiment lifecycle - decides through which states an experiment goes and when it may be left.

Rules:
- DRAFT, CONFIG, RUNNING, ANALYSIS, COMPLETE, then ROLLOUT or ROLLBACK by its verdict; every state is recorded.
- Cancelled before it is complete, it ends as CANCELLED, and the upgrade that asked for it is taken back.

Not here: replaying and analysing (`activities/experiments.py`).
"""

from __future__ import annotations

import asyncio

from temporalio import workflow

from activities import messages as m
from domain.experiments import EXPERIMENT_TRANSITIONS, Experiment, ExperimentStatus, Verdict
from domain.transitions import advance
from workflows import display, hands
from workflows.failures import EXITS


@workflow.defn(name="Experiment")
class ExperimentWorkflow:
    """One experiment, from draft to verdict."""

    @workflow.init
    def __init__(self, start: m.ExperimentInput) -> None:
        self._experiment = start.experiment
        self._host = start.host

    @workflow.query
    def status(self) -> Experiment:
        """Tell where the experiment stands."""
        return self._experiment

    @workflow.run
    async def run(self, start: m.ExperimentInput) -> Experiment:
        """Run the experiment and return it with its analysis."""
        del start
        try:
            return await self._run()
        except EXITS:
            if self._experiment.ended_at is None:
                await asyncio.shield(self._become(ExperimentStatus.CANCELLED))
            raise

    async def _run(self) -> Experiment:
        for status in (ExperimentStatus.DRAFT, ExperimentStatus.CONFIG, ExperimentStatus.RUNNING):
            await self._become(status)
        report = m.ExperimentReport(experiment=self._experiment, at=workflow.now())
        analysed = await hands.run_experiment(report, self._host)
        learned = {"analysis": analysed.analysis, "required_sample_size": analysed.required_sample_size}
        self._experiment = self._experiment.model_copy(update=learned)
        await self._become(ExperimentStatus.ANALYSIS)
        await self._become(ExperimentStatus.COMPLETE)
        assert analysed.analysis is not None
        won = analysed.analysis.verdict is Verdict.SHIP
        await self._become(ExperimentStatus.ROLLOUT if won else ExperimentStatus.ROLLBACK)
        return self._experiment

    async def _become(self, status: ExperimentStatus) -> None:
        advance(EXPERIMENT_TRANSITIONS, self._experiment.status, status, self._experiment.id)
        ended = status in {ExperimentStatus.COMPLETE, ExperimentStatus.CANCELLED} or self._experiment.ended_at
        self._experiment = self._experiment.model_copy(
            update={"status": status, "ended_at": self._experiment.ended_at or (workflow.now() if ended else None)}
        )
        display.show_status(status=status)
        workflow.set_current_details(_details(self._experiment))
        await hands.record_experiment(m.ExperimentReport(experiment=self._experiment, at=workflow.now()))


def _details(experiment: Experiment) -> str:
    heading = f"## {experiment.hypothesis.statement}\n\n**{experiment.status}**"
    if experiment.analysis is None:
        return heading
    reasons = "\n".join(f"- {reason}" for reason in experiment.analysis.reasons)
    return f"{heading} verdict: {experiment.analysis.verdict}\n\n{reasons}"
