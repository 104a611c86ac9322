"""Spec 5.2, sizing - decides which gates of a plan cannot be proved at the rate of calls there is.

Rules:
- A gate needs as many calls as prove it when all of them are what it wants; a single other one makes it more. One
  that is relative to the control is proved by its floor, with no control that fails to lean on.
- A stage may last its longest. At 0 % only its target callers call, of whom no rate is known: nothing is said of it.

Not here: what proves a gate (`engines/evidence.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from domain.rollouts import GateCondition, RolloutConfiguration, RolloutStage, StageGate
from domain.sizing import GateSize
from engines.evidence import calls_to_prove
from engines.gates import GOOD, limit_of

HOUR = timedelta(hours=1)
WORDS = {
    GateCondition.LESS_THAN: "below",
    GateCondition.GREATER_THAN: "above",
    GateCondition.RELATIVE_TO_CONTROL: "relative to the control by at most",
}


def size(plan: RolloutConfiguration, calls_per_hour: float) -> list[GateSize]:
    """Return what every gate needs and gets.

    Args:
        plan: its stages and gates.
        calls_per_hour: of the capability, by everybody, >= 0.
    """
    return [
        _size(stage, gate, calls_per_hour)
        for index, stage in enumerate(plan.stages)
        if stage.share > 0
        for gate in plan.gates_of(index)
    ]


def warnings(sizes: Sequence[GateSize]) -> Iterator[str]:
    """Yield a sentence for every gate that cannot be proved in time."""
    for one in sizes:
        if not one.provable:
            gate = f"{one.metric} {WORDS[one.condition]} {one.threshold:g}"
            told = f"{gate} needs {one.needed} calls and will get about {one.expected:.0f}"
            yield f"Stage {one.stage} will end in a question to a person: {told}. {_remedy(one)}"


def _size(stage: RolloutStage, gate: StageGate, calls_per_hour: float) -> GateSize:
    limit = limit_of(gate)
    needed = calls_to_prove(1 - limit if gate.condition is GateCondition.GREATER_THAN else limit, 0, GOOD)
    needed = max(stage.min_calls, needed)
    all_calls = calls_per_hour * ((stage.longest - stage.warm_up) / HOUR)
    own_rate = calls_per_hour * stage.share
    return GateSize(
        stage=stage.name,
        metric=gate.metric,
        condition=gate.condition,
        threshold=gate.threshold,
        needed=needed,
        expected=all_calls * stage.share,
        share=needed / all_calls if all_calls >= needed else None,
        duration=stage.warm_up + needed / own_rate * HOUR if own_rate else None,
    )


def _remedy(one: GateSize) -> str:
    """Return what would be enough."""
    enough = [f"a share of {one.share:.0%}"] if one.share is not None else []
    enough += [f"{one.duration / timedelta(days=1):.1f} days"] if one.duration is not None else []
    return f"Enough would be {' or '.join(enough)}." if enough else "No call has been seen yet."
