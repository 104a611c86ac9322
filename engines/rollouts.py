"""Spec 5.1 and 5.2, progression - decides whether a rollout advances, holds, pauses or is taken back.

Rules, the first that applies wins:
1. An abort is a rollback.
2. A tripwire is a rollback, whatever was counted: the candidate is in quarantine.
3. A gate proved bad whose failure means rollback is a rollback; with the stage's auto-rollback off it is a pause.
4. A gate proved bad whose failure means pause is a pause.
5. A paused stage stays paused, and was watched all the same by the rules above.
6. A gate that is blind holds the stage, and pauses it after two hours or at the stage's longest duration.
7. Before the stage's duration is over, or with a gate unproved, it holds; at its longest duration it pauses, and so it
   does when no call has come at all for as long as the stage is patient.
8. All gates proved good: a person's yes, where the stage asks for one. It is always asked last.
9. Advance.

Silence never advances: without calls no gate is proved good, and a stage without any gate still needs `min_calls`.
What was counted while the stage warmed up speaks for no gate and against none. Time spent paused is no part of a
stage's duration. A person who resumes has seen what the counts said: rule 4 does not pause the stage again until it has
lasted its longest once more, but its gates let nothing advance either.

Not here: what counts prove (`engines/gates.py`), waiting and acting (`workflows/rollout.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Final, NamedTuple

from domain.rollouts import (
    Evidence,
    GateEvaluation,
    GateFailureAction,
    GateVerdict,
    RolloutAction,
    RolloutConfiguration,
    RolloutDecision,
    RolloutStage,
    Sample,
    StageGate,
    StageState,
)
from domain.routing import VariantName
from engines.gates import evaluate

BLIND_LIMIT: Final = timedelta(hours=2)
SLICES: Final = 48
MOST_SLICES: Final = 400


class _Look(NamedTuple):
    """Everything one decision looks at."""

    plan: RolloutConfiguration
    stage: RolloutStage
    state: StageState
    evaluations: tuple[GateEvaluation, ...]
    calls: int
    tripwire: str
    now: datetime

    @property
    def elapsed(self) -> timedelta:
        return self.now - self.state.started_at - self.state.paused_for

    @property
    def waited(self) -> timedelta:
        """The time since the stage began, or since a person last let it go on."""
        began = self.state.started_at
        return self.now - max(began + self.state.paused_for, self.state.resumed_at or began)

    @property
    def overdue(self) -> bool:
        return self.waited >= self.stage.longest

    def reasons(self, *verdicts: GateVerdict) -> str:
        return " ".join(gate.reason for gate in self.evaluations if gate.verdict in verdicts)

    def proved_bad(self, action: GateFailureAction) -> str:
        found = (gate for gate in self.evaluations if gate.verdict is GateVerdict.PROVED_BAD)
        return " ".join(gate.reason for gate in found if gate.on_failure is action)

    def decide(self, action: RolloutAction, reason: str, *, needs_approval: bool = False) -> RolloutDecision:
        return RolloutDecision(
            action=action,
            reason=reason,
            next_at=_next_look(self) if action in {RolloutAction.HOLD, RolloutAction.PAUSE} else self.now,
            needs_approval=needs_approval,
            evaluations=self.evaluations,
        )


def decide(plan: RolloutConfiguration, state: StageState, evidence: Evidence, now: datetime) -> RolloutDecision:
    """Say what a rollout does now.

    Args:
        plan: its stages and gates.
        state: the stage that runs, and what people have ordered.
        evidence: what has been counted since that stage began, and whether a tripwire was touched.
        now: the present.

    Returns:
        The action, its reason, the next time to look, and what each gate said.
    """
    stage = plan.stages[state.index]
    oldest = now - max(2 * plan.check_every, stage.duration / 10)
    gates = plan.gates_of(state.index)
    counted = [one for one in evidence.samples if one.window_start >= state.started_at + stage.warm_up]
    evaluations = tuple(evaluate(gate, _of(gate, counted), stage.min_calls, oldest) for gate in gates)
    own = sum(sample.n for sample in counted if sample.variant is VariantName.CANDIDATE)
    calls = min((gate.n for gate in evaluations), default=own)
    look = _Look(plan, stage, state, evaluations, calls, evidence.tripwire, now)
    return _harm(look) or _halt(look) or _patience(look) or _progress(look)


def slices(plan: RolloutConfiguration, state: StageState, now: datetime) -> list[datetime]:
    """Return the slices of time in which the running stage is counted.

    They are as long as a regular look takes to come, and at least a 48th of the stage; a stage that lasts very much
    longer than it should is counted in longer ones.

    Returns:
        The first moment of each and the end of the last one, which is the present.
    """
    stage = plan.stages[state.index]
    start = state.started_at + stage.warm_up
    length = max(plan.check_every, stage.duration / SLICES)
    while now - start > MOST_SLICES * length:
        length *= 2
    return [*(start + length * number for number in range(max(0, ceil((now - start) / length)))), max(now, start)]


def _of(gate: StageGate, samples: Sequence[Sample]) -> list[Sample]:
    own = [sample for sample in samples if sample.metric is gate.metric]
    return [sample for sample in own if sample.threshold is None or sample.threshold == gate.threshold]


def _harm(look: _Look) -> RolloutDecision | None:
    """Apply rules 1 to 3."""
    if look.state.abort_reason is not None:
        return look.decide(RolloutAction.ROLLBACK, f"Aborted in stage {look.stage.name}: {look.state.abort_reason}")
    if look.tripwire:
        return look.decide(RolloutAction.ROLLBACK, f"Stage {look.stage.name} touched a tripwire. {look.tripwire}")
    bad = look.proved_bad(GateFailureAction.ROLLBACK)
    if not bad:
        return None
    if look.stage.auto_rollback.enabled:
        return look.decide(RolloutAction.ROLLBACK, f"Stage {look.stage.name} failed. {bad}")
    return look.decide(
        RolloutAction.PAUSE, f"Stage {look.stage.name} failed, and rolling back is left to a person. {bad}"
    )


def _halt(look: _Look) -> RolloutDecision | None:
    """Apply rules 4 to 6."""
    bad = look.proved_bad(GateFailureAction.PAUSE)
    if bad and (look.state.resumed_at is None or look.overdue):
        return look.decide(RolloutAction.PAUSE, f"Stage {look.stage.name} needs a person. {bad}")
    if look.state.paused:
        return look.decide(RolloutAction.PAUSE, f"Stage {look.stage.name} is paused until a person resumes it.")
    blind = look.reasons(GateVerdict.BLIND)
    if not blind:
        return None
    since = look.state.blind_since or look.now
    if look.overdue or look.now - since >= BLIND_LIMIT:
        return look.decide(RolloutAction.PAUSE, f"Stage {look.stage.name} has been blind too long. {blind}")
    return look.decide(RolloutAction.HOLD, f"Stage {look.stage.name} cannot see its candidate. {blind}")


def _patience(look: _Look) -> RolloutDecision | None:
    """Apply rule 7."""
    open_ = look.reasons(GateVerdict.UNKNOWN, GateVerdict.PROVED_BAD)
    if look.calls < look.stage.min_calls:
        open_ = f"{look.calls} calls of at least {look.stage.min_calls}. {open_}".rstrip()
    if not look.calls and look.waited >= look.stage.patience:
        return look.decide(
            RolloutAction.PAUSE, f"Stage {look.stage.name} had no call in {look.stage.patience}. {open_}"
        )
    if open_ and look.overdue:
        return look.decide(
            RolloutAction.PAUSE, f"Stage {look.stage.name} reached its longest duration unproved. {open_}"
        )
    if look.elapsed < look.stage.duration:
        left = look.stage.duration - look.elapsed
        return look.decide(RolloutAction.HOLD, f"Stage {look.stage.name} lasts {left} more. {open_}".rstrip())
    if open_:
        return look.decide(RolloutAction.HOLD, f"Stage {look.stage.name} waits for proof. {open_}")
    return None


def _progress(look: _Look) -> RolloutDecision:
    """Apply rules 8 and 9."""
    good = look.reasons(GateVerdict.PROVED_GOOD)
    if look.stage.requires_approval and not look.state.approved:
        reason = f"Stage {look.stage.name} is proved good and waits for a person's approval. {good}".rstrip()
        return look.decide(RolloutAction.HOLD, reason, needs_approval=True)
    return look.decide(RolloutAction.ADVANCE, f"Stage {look.stage.name} passed. {good}".rstrip())


def _next_look(look: _Look) -> datetime:
    """Return the next regular look, or the moment before it at which a limit of time is reached."""
    start = look.state.started_at + look.state.paused_for
    limits = [start + look.stage.duration, start + look.stage.longest, start + look.stage.patience]
    if look.state.blind_since is not None:
        limits.append(look.state.blind_since + BLIND_LIMIT)
    ahead = [limit for limit in limits if limit > look.now]
    return min([look.now + look.plan.check_every, *ahead])
