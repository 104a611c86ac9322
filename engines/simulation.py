"""Spec 5.2, simulation - decides what a rollout plan would have done with recorded counts.

Rules:
- It looks when the rollout would, at its beginning, when the last decision asked for it and when an order comes in, and
  whenever the trace has news.
- The judgement is the rollout's own (`engines/rollouts.py`); a trace that ends leaves the rollout where it stands.
- Where the trace says nothing there were no calls, and the source is up. `provider_error` and `stale` hold until the
  next counts.
- Candidate and control are compared where both have counts of the same time.
- Counts that reach over the beginning of a stage belong to the stage that runs when they are told.

Cost: looks times slices of the running stage.

Not here: reading traces (`worker/commands/rollout.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from domain.rollouts import (
    Evidence,
    GateVerdict,
    Metric,
    RolloutAction,
    RolloutConfiguration,
    RolloutDecision,
    Sample,
    StageState,
)
from domain.routing import VariantName
from domain.simulation import SimulatedLook, Simulation, SimulationOutcome, TraceEvent, TraceLine
from engines.rollouts import decide

BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Stands for the moment the rollout began; nothing depends on the date."""
WORST_FIRST: Final = (GateVerdict.PROVED_BAD, GateVerdict.BLIND, GateVerdict.UNKNOWN, GateVerdict.PROVED_GOOD)
SILENCE: Final = frozenset({TraceEvent.PROVIDER_ERROR, TraceEvent.STALE})


def simulate(plan: RolloutConfiguration, trace: Iterable[TraceLine]) -> Simulation:
    """Return what the plan would have decided, look by look.

    Args:
        plan: its stages and gates.
        trace: lines in any order.
    """
    running = _Running(plan)
    looks = list(running.looks(sorted(trace, key=lambda line: line.at)))
    return Simulation(decisions=tuple(looks), outcome=running.outcome)


class _Running:
    """A rollout on its way through a trace."""

    def __init__(self, plan: RolloutConfiguration) -> None:
        self._plan = plan
        self._state = StageState(index=0, started_at=BEGINNING)
        self._paused_since: datetime | None = None
        self._slices: dict[tuple[Metric, VariantName], list[Sample]] = defaultdict(list)
        self._source: TraceEvent | None = None
        self.outcome = SimulationOutcome.RUNNING

    def looks(self, lines: Sequence[TraceLine]) -> Iterator[SimulatedLook]:
        """Yield every look until the rollout or the trace is over."""
        following = BEGINNING
        for at, news in groupby(lines, key=lambda line: BEGINNING + timedelta(seconds=line.at)):
            while following < at and not self._is_over:
                look, following = self._look(following)
                yield look
            if self._is_over:
                return
            for line in news:
                self._take(line, at)
            look, following = self._look(at)
            yield look
        while following <= self._told_until(lines) and not self._is_over:
            look, following = self._look(following)
            yield look

    @property
    def _is_over(self) -> bool:
        return self.outcome in {SimulationOutcome.COMPLETE, SimulationOutcome.ROLLED_BACK}

    @staticmethod
    def _told_until(lines: Sequence[TraceLine]) -> datetime:
        return BEGINNING + timedelta(seconds=lines[-1].at if lines else 0)

    def _look(self, now: datetime) -> tuple[SimulatedLook, datetime]:
        """Decide, act, and return the look and when the next one is due."""
        stage = self._plan.stages[self._state.index].name
        judged = decide(self._plan, self._state_at(now), Evidence(samples=tuple(self._samples(now))), now)
        self._act(judged, now)
        verdicts = {gate.verdict for gate in judged.evaluations}
        look = SimulatedLook(
            at=(now - BEGINNING).total_seconds(),
            stage=stage,
            verdict=next((verdict for verdict in WORST_FIRST if verdict in verdicts), GateVerdict.UNKNOWN),
            action=judged.action,
            reason=judged.reason,
        )
        return look, judged.next_at

    def _act(self, judged: RolloutDecision, now: datetime) -> None:
        blind = any(gate.verdict is GateVerdict.BLIND for gate in judged.evaluations)
        since = (self._state.blind_since or now) if blind else None
        self._state = self._state.model_copy(update={"blind_since": since})
        match judged.action:
            case RolloutAction.ROLLBACK:
                self.outcome = SimulationOutcome.ROLLED_BACK
            case RolloutAction.ADVANCE if self._state.index + 1 == len(self._plan.stages):
                self.outcome = SimulationOutcome.COMPLETE
            case RolloutAction.ADVANCE:
                self._state = StageState(index=self._state.index + 1, started_at=now)
                self._slices.clear()
            case RolloutAction.PAUSE:
                self._pause(now)

    def _take(self, line: TraceLine, now: datetime) -> None:
        if line.metric is not None:
            self._count(line, line.metric, now)
        elif line.event in SILENCE:
            self._source = line.event
        elif line.event is TraceEvent.ABORT:
            self._state = self._state.model_copy(update={"abort_reason": "by an order of the trace"})
        elif line.event is TraceEvent.PAUSE:
            self._pause(now)
        else:
            self._resume(now)
            if line.event is TraceEvent.APPROVE:
                self._state = self._state.model_copy(update={"approved": True})

    def _count(self, line: TraceLine, metric: Metric, now: datetime) -> None:
        stage = self._plan.stages[self._state.index].name
        if line.stage in {None, stage}:
            self._source = None
            self._slices[metric, line.variant].append(
                Sample(
                    metric=metric,
                    variant=line.variant,
                    n=line.n,
                    bad=line.bad,
                    window_start=self._end_of(metric, line.variant),
                    window_end=now,
                    last_seen=now,
                )
            )

    def _pause(self, now: datetime) -> None:
        self._paused_since = self._paused_since or now
        self.outcome = SimulationOutcome.PAUSED

    def _resume(self, now: datetime) -> None:
        if self._paused_since is not None:
            spent = self._state.paused_for + (now - self._paused_since)
            self._state = self._state.model_copy(update={"paused_for": spent, "resumed_at": now})
            self._paused_since = None
            self.outcome = SimulationOutcome.RUNNING

    def _state_at(self, now: datetime) -> StageState:
        waiting = now - self._paused_since if self._paused_since else timedelta(0)
        paused_for = self._state.paused_for + waiting
        return self._state.model_copy(update={"paused": self._paused_since is not None, "paused_for": paused_for})

    def _samples(self, now: datetime) -> list[Sample]:
        """Return the slices of the running stage, each metric's up to now unless its source is silent."""
        metrics = {gate.metric for gate in self._plan.gates_of(self._state.index)} or {Metric.ERROR_RATE}
        told = [sample for (metric, _), all_ in self._slices.items() if metric in metrics for sample in all_]
        return told + [self._tail(metric, now) for metric in sorted(metrics)]

    def _tail(self, metric: Metric, now: datetime) -> Sample:
        """Return the time since the last counts, in which there were none."""
        end = self._end_of(metric, VariantName.CANDIDATE)
        until = end if self._source is TraceEvent.STALE else now
        up = self._source is not TraceEvent.PROVIDER_ERROR
        return Sample(metric=metric, n=0, bad=0, window_start=end, window_end=until, source_up=up)

    def _end_of(self, metric: Metric, variant: VariantName) -> datetime:
        slices = self._slices[metric, variant]
        return slices[-1].window_end if slices else self._state.started_at
