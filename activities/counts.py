"""Spec 7.2, the ledger as a source of counts - decides from which calls the gates of a stage are judged.

Rules:
- Counts are exact, and taken in one pass: all gates, both versions, slice by slice.
- Slices without calls are left out, but for the last one: it says up to when was counted.
- When the gateway could not write out what it still held, every count says so (`source_up`).

Not here: the slices and the judgement (`engines/rollouts.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from domain.calls import CallSlice
from domain.rollouts import Metric, Rollout, Sample, StageGate, StageState
from domain.routing import VariantName
from engines.rollouts import slices
from store.calls import Calls


@dataclass(frozen=True)
class LedgerCounts:
    """What the ledger holds of one stage.

    Attributes:
        bounds: of the slices.
        rows: what was counted in them.
        variants: who is who, by version.
        limits: the milliseconds above which calls were counted as slow.
        source_up: whether the ledger is complete.
    """

    bounds: Sequence[datetime]
    rows: Sequence[CallSlice]
    variants: Mapping[str, VariantName]
    limits: Sequence[float]
    source_up: bool

    @classmethod
    def read(cls, calls: Calls, rollout: Rollout, state: StageState, at: datetime, *, source_up: bool) -> Self:
        """Count the running stage."""
        bounds = slices(rollout.plan, state, at)
        gates = rollout.plan.gates_of(state.index)
        limits = sorted({gate.threshold for gate in gates if gate.metric is not Metric.ERROR_RATE})
        variants = {rollout.candidate.id: VariantName.CANDIDATE}
        if rollout.control is not None:
            variants[rollout.control.id] = VariantName.CONTROL
        rows = calls.sliced(rollout.capability, list(variants), bounds, limits) if bounds[1:] else []
        return cls(bounds, rows, variants, limits, source_up)

    def samples(self, gates: Sequence[StageGate]) -> tuple[Sample, ...]:
        """Return the counts for each gate; without any gate, how many calls there were."""
        return tuple(sample for gate in gates or (None,) for sample in self._of(gate))

    def _of(self, gate: StageGate | None) -> Iterator[Sample]:
        for row in self.rows:
            yield self._sample(gate, row)
        last = max(len(self.bounds) - 2, 0)
        seen = {row.index for row in self.rows if self.variants[row.version] is VariantName.CANDIDATE}
        if last not in seen:
            yield self._sample(gate, None, last)

    def _sample(self, gate: StageGate | None, row: CallSlice | None, last: int = 0) -> Sample:
        """Return a slice's counts, or say that there were none in the last one."""
        index = row.index if row else last
        return Sample(
            metric=gate.metric if gate else Metric.ERROR_RATE,
            variant=self.variants[row.version] if row else VariantName.CANDIDATE,
            threshold=gate.threshold if gate else None,
            n=row.n if row else 0,
            bad=self._bad(gate, row) if row else 0,
            window_start=self.bounds[index],
            window_end=self.bounds[min(index + 1, len(self.bounds) - 1)],
            last_seen=row.last_seen if row else None,
            source_up=self.source_up,
        )

    def _bad(self, gate: StageGate | None, row: CallSlice) -> int:
        on_latency = gate is not None and gate.metric is not Metric.ERROR_RATE
        return row.slow[self.limits.index(gate.threshold)] if gate and on_latency else row.bad
