"""Spec 9.1, main loop - decides in which order one cycle does its five phases and what it remembers of them.

Rules:
- Discovery, analysis, decision, implementation, validation; each is recorded when it starts and when it ends.
- A cycle starts its upgrades and ends; it never waits for a rollout, or one rollout would block every later cycle.
- An upgrade's id is its capability, so a second upgrade of the same capability cannot start.
- A phase that fails ends the cycle as failed; what the phases before it found stays.

Not here: carrying out an upgrade (`workflows/upgrade.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

from activities import messages as m
from domain.cycles import CycleRecord, CycleStatus, Phase, PhaseRecord, PhaseStatus
from domain.upgrades import UpgradePlan
from workflows import display, hands
from workflows.failures import EXITS, reason_of
from workflows.ids import upgrade_workflow_id
from workflows.upgrade import UpgradeWorkflow


@workflow.defn(name="UpgradeCycle")
class UpgradeCycleWorkflow:
    """One run of the loop."""

    @workflow.init
    def __init__(self, start: m.CycleInput) -> None:
        self._start = start
        self._record = CycleRecord(
            id=workflow.info().workflow_id,
            trigger=start.trigger,
            status=CycleStatus.RUNNING,
            started_at=workflow.now(),
        )
        self._plans: tuple[UpgradePlan, ...] = ()

    @workflow.query
    def status(self) -> CycleRecord:
        """Tell where the cycle stands."""
        return self._record

    @workflow.run
    async def run(self, start: m.CycleInput) -> CycleRecord:
        """Run the five phases."""
        try:
            await self._remember("cycle.started", f"trigger: {start.trigger}")
            for phase, work in self._phases():
                await self._run_phase(phase, work)
        except EXITS as failure:
            await asyncio.shield(self._close(CycleStatus.FAILED, reason_of(failure)))
            raise
        await self._close(CycleStatus.SUCCESS)
        return self._record

    def _phases(self) -> tuple[tuple[Phase, Callable[[], Awaitable[str]]], ...]:
        return (
            (Phase.DISCOVERY, self._discover),
            (Phase.ANALYSIS, self._analyse),
            (Phase.DECISION, self._decide),
            (Phase.IMPLEMENTATION, self._implement),
            (Phase.VALIDATION, self._validate),
        )

    async def _discover(self) -> str:
        patterns, gaps = await asyncio.gather(hands.detect_patterns(self._now()), hands.identify_gaps(self._now()))
        self._update(patterns=patterns.found, gaps=gaps.found)
        return f"{patterns.summary} {gaps.summary}"

    async def _analyse(self) -> str:
        analysed = await hands.analyse_opportunities(self._now())
        self._update(opportunities=len(analysed.opportunity_ids))
        return f"{len(analysed.opportunity_ids)} opportunities, {analysed.actionable} with a remedy."

    async def _decide(self) -> str:
        selected = await hands.decide_upgrades(self._now())
        self._plans = selected.plans
        return f"{len(selected.plans)} of {selected.considered} approved."

    async def _implement(self) -> str:
        started = [plan for plan in self._plans if await self._start_upgrade(plan)]
        self._update(upgrade_ids=tuple(plan.id for plan in started))
        return ", ".join(f"{plan.capability} started" for plan in started) or "nothing to do"

    async def _validate(self) -> str:
        validated = await hands.validate_deployed(self._now())
        if validated.wrong:
            raise ApplicationError(f"served is not what is recorded as deployed: {', '.join(validated.wrong)}")
        return f"{validated.checked} deployed upgrades serve as recorded."

    async def _start_upgrade(self, plan: UpgradePlan) -> bool:
        remedy = plan.opportunity.remedy
        assert remedy is not None
        before = remedy.replaces.version if remedy.replaces else "new"
        try:
            await workflow.start_child_workflow(
                UpgradeWorkflow.run,
                plan,
                id=upgrade_workflow_id(plan.capability),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                static_summary=f"{plan.capability}: {before} -> {remedy.package.version}",
                static_details=plan.opportunity.description,
                search_attributes=display.upgrade_attributes(plan),
            )
        except WorkflowAlreadyStartedError:
            return False
        return True

    async def _run_phase(self, phase: Phase, work: Callable[[], Awaitable[str]]) -> None:
        try:
            await self._report(phase, PhaseStatus.RUNNING)
            summary = await work()
        except EXITS as failure:
            await asyncio.shield(self._report(phase, PhaseStatus.FAILED, reason_of(failure)))
            raise
        await self._report(phase, PhaseStatus.COMPLETE, summary)

    async def _report(self, phase: Phase, status: PhaseStatus, summary: str = "") -> None:
        now = workflow.now()
        changed = (_moved(old, status, summary, now) if old.name is phase else old for old in self._record.phases)
        self._update(phases=tuple(changed))
        display.show_status(phase=phase)
        await self._remember(f"phase.{phase}.{status}", summary)

    async def _close(self, status: CycleStatus, error: str = "") -> None:
        self._update(status=status, error=error, ended_at=workflow.now())
        display.show_status(status=status)
        await self._remember(f"cycle.{status}", error)

    async def _remember(self, action: str, detail: str = "") -> None:
        workflow.set_current_details(_details(self._record))
        report = m.CycleReport(record=self._record, action=action, detail=detail, at=workflow.now())
        await hands.record_cycle(report)

    def _update(self, **changes: object) -> None:
        self._record = self._record.model_copy(update=changes)

    def _now(self) -> m.CycleMoment:
        return m.CycleMoment(cycle_id=self._record.id, host=self._start.host, at=workflow.now())


def _moved(record: PhaseRecord, status: PhaseStatus, summary: str, now: datetime) -> PhaseRecord:
    ended = None if status is PhaseStatus.RUNNING else now
    started = record.started_at or now
    return PhaseRecord(name=record.name, status=status, started_at=started, ended_at=ended, summary=summary)


def _details(record: CycleRecord) -> str:
    rows = ((phase.name.value, phase.status.value, phase.summary) for phase in record.phases)
    error = f"\n\n**Failed:** {record.error}" if record.error else ""
    return f"## Cycle: {record.status}\n\n{display.table(('Phase', 'Status', 'Found'), rows)}{error}"
