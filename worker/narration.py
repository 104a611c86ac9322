"""Spec 9.1, narration - decides in which words the demo tells what the audit log says.

Rules:
- An entry becomes a line that says when, what it is about and what happened, in words that need no glossary; what only
  an auditor needs becomes none.
- The numbers come from the records that the entry is about.
- A stage that has ended is told when the next one begins, or when the rollout is over.

Not here: when to look (`worker/demo.py`), how a line is drawn (`worker/commands/demo.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.audit import AuditEntry
from domain.opportunities import OpportunityStatus, Remedy
from domain.rollouts import GateEvaluation, GateVerdict, Metric, Rollout, StageRecord, StageStatus
from store.database import Store

LOOP = "the loop"


class Mood(StrEnum):
    """How a line is meant."""

    PLAIN = "plain"
    GOOD = "good"
    ASKS = "asks"
    BAD = "bad"


@dataclass(frozen=True)
class Line:
    """One line of the story.

    Attributes:
        subject: what it is about, such as `text 1.0.0 -> 1.1.0`.
    """

    at: datetime
    subject: str
    text: str
    mood: Mood = Mood.PLAIN


Said = tuple[str, str, Mood]
"""Subject, text and mood."""


class Narrator:
    """Tells what has happened since it was last asked.

    Args:
        store: where it reads.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told = 0

    def news(self) -> Iterator[Line]:
        """Yield a line for everything worth telling since the last time."""
        while entries := self._store.audit.entries(after=self._told):
            self._told = entries[-1].sequence
            for entry in entries:
                for subject, text, mood in _said(self._store, entry):
                    yield Line(entry.at, subject, text, mood)


def _said(store: Store, entry: AuditEntry) -> Iterator[Said]:
    if entry.action.startswith("stage."):
        yield from _stage(store, entry)
    elif teller := _TELLERS.get(entry.action):
        yield from teller(store, entry)


def _loop_starts(store: Store, entry: AuditEntry) -> Iterator[Said]:
    del store, entry
    yield LOOP, "looks at the agent's code, at its calls, and at what its users asked for in vain", Mood.PLAIN


def _discovered(store: Store, entry: AuditEntry) -> Iterator[Said]:
    del store
    yield LOOP, f"saw {_detail(entry)}", Mood.PLAIN


def _loop_failed(store: Store, entry: AuditEntry) -> Iterator[Said]:
    del store
    yield LOOP, f"the cycle failed: {_detail(entry)}", Mood.BAD


def _found(store: Store, entry: AuditEntry) -> Iterator[Said]:
    opportunity = store.opportunities.get(entry.subject)
    if opportunity.remedy is not None:
        finding = opportunity.description.partition(f". {opportunity.remedy.package.id} ")[0]
        yield _name(opportunity.remedy), f"found: {finding}", Mood.PLAIN


def _left_over(store: Store, entry: AuditEntry) -> Iterator[Said]:
    del entry
    count = len(store.opportunities.list(status=OpportunityStatus.NEEDS_PERSON))
    if count:
        yield LOOP, f"{count} more findings are left to a person: no package on offer remedies them", Mood.PLAIN


def _decided(store: Store, entry: AuditEntry) -> Iterator[Said]:
    remedy = store.opportunities.get(entry.subject).remedy
    if remedy is None:
        return
    score = f"{entry.detail.get('composite', 0):.2f} of 1"
    if entry.action == "decision.refused":
        yield _name(remedy), f"decided: not worth it ({score}). {entry.detail.get('recommendation', '')}", Mood.PLAIN
    elif entry.detail.get("needs_approval"):
        yield _name(remedy), f"decided: worth it ({score}), but its owner is asked first", Mood.ASKS
    else:
        yield _name(remedy), f"decided: worth it ({score}), clearly enough to ask nobody", Mood.PLAIN


def _answered(store: Store, entry: AuditEntry) -> Iterator[Said]:
    yes = entry.action == "approval.approved"
    yield _upgrade(store, entry), f"{entry.actor} says {'yes' if yes else 'no'}", Mood.PLAIN


def _step(title: str) -> Callable[[Store, AuditEntry], Iterator[Said]]:
    """Return what tells a step by the first sentence of its report."""

    def tell(store: Store, entry: AuditEntry) -> Iterator[Said]:
        yield _upgrade(store, entry), f"{title}: {_detail(entry).split('. ')[0].rstrip('.')}", Mood.PLAIN

    return tell


def _saved(store: Store, entry: AuditEntry) -> Iterator[Said]:
    what = _detail(entry).partition(": ")[2].rstrip(".")
    yield _upgrade(store, entry), f"snapshot, to go back to: {what}", Mood.PLAIN


def _experimented(store: Store, entry: AuditEntry) -> Iterator[Said]:
    experiment = store.experiments.find(f"experiment-{entry.subject}")
    if experiment is None or (seen := experiment.analysis) is None:
        return
    ratio = f", {seen.latency_ratio:.2f} of the time" if seen.latency_ratio else ""
    text = (
        f"experiment: {seen.pairs} recorded calls through both: {seen.broken} broken, {seen.different} different{ratio}"
    )
    yield _upgrade(store, entry), text, Mood.PLAIN


def _registered(store: Store, entry: AuditEntry) -> Iterator[Said]:
    yield _upgrade(store, entry), "runs beside the others, warmed up; nobody meets it yet", Mood.PLAIN


def _stage(store: Store, entry: AuditEntry) -> Iterator[Said]:
    """Tell that a stage has begun, and before it how the last one ended."""
    rollout = store.rollouts.find(f"rollout-{entry.subject}")
    names = [stage.name for stage in rollout.stages] if rollout else []
    name = entry.action.split(".")[1]
    if rollout is None or name not in names:
        return
    position = names.index(name)
    if position:
        yield _upgrade(store, entry), _ended(rollout.stages[position - 1]), Mood.PLAIN
    yield _upgrade(store, entry), _begun(rollout, rollout.stages[position]), Mood.PLAIN


def _rolled_out(store: Store, entry: AuditEntry) -> Iterator[Said]:
    rollout = store.rollouts.get(f"rollout-{entry.subject}")
    yield _upgrade(store, entry), _ended(rollout.stages[-1]), Mood.PLAIN


def _harmful(store: Store, entry: AuditEntry) -> Iterator[Said]:
    """Tell what was proved of a version that is taken back."""
    looks = store.gate_log.of(f"rollout-{entry.subject}")
    gates = looks[-1].decision.evaluations if looks else ()
    bad = [_proof(gate) for gate in gates if gate.verdict is GateVerdict.PROVED_BAD]
    yield _upgrade(store, entry), f"gate: {'; '.join(bad) or _detail(entry)}; no more calls for it", Mood.BAD


def _paused(store: Store, entry: AuditEntry) -> Iterator[Said]:
    yield _upgrade(store, entry), f"paused, a person is asked: {_detail(entry)}", Mood.ASKS


def _outcome(store: Store, entry: AuditEntry) -> Iterator[Said]:
    record = store.upgrades.get(entry.subject)
    name = _upgrade(store, entry)
    match entry.action:
        case "upgrade.deployed":
            yield name, "DEPLOYED: it serves everyone", Mood.GOOD
        case "upgrade.rolled_back":
            seconds = f" in {record.rollback.seconds:.1f} s" if record.rollback else ""
            serving = f"{record.from_version} serves everyone" if record.from_version else "all is as it was"
            yield name, f"TAKEN BACK{seconds}: {serving}", Mood.BAD
        case _:
            yield name, f"{record.status.upper()}: {record.reason}", Mood.BAD


_TELLERS: Mapping[str, Callable[[Store, AuditEntry], Iterator[Said]]] = {
    "cycle.started": _loop_starts,
    "cycle.failed": _loop_failed,
    "phase.discovery.complete": _discovered,
    "opportunity.found": _found,
    "phase.analysis.complete": _left_over,
    "decision.approved": _decided,
    "decision.refused": _decided,
    "approval.approved": _answered,
    "approval.rejected": _answered,
    "step.snapshot": _saved,
    "step.security": _step("security"),
    "step.performance": _step("measured"),
    "step.experiment": _experimented,
    "step.registration": _registered,
    "step.validation": _step("checked once more"),
    "rollout.complete": _rolled_out,
    "rollout.rolled_back": _harmful,
    "rollout.paused": _paused,
    "upgrade.deployed": _outcome,
    "upgrade.rolled_back": _outcome,
    "upgrade.rejected": _outcome,
    "upgrade.failed": _outcome,
    "upgrade.needs_attention": _outcome,
}


def _detail(entry: AuditEntry) -> str:
    return str(entry.detail.get("detail", ""))


def _upgrade(store: Store, entry: AuditEntry) -> str:
    record = store.upgrades.get(entry.subject)
    return _versions(record.capability, record.from_version, record.to_version)


def _name(remedy: Remedy) -> str:
    before = remedy.replaces.version if remedy.replaces else None
    return _versions(remedy.capability, before, remedy.package.version)


def _versions(capability: str, before: str | None, after: str) -> str:
    return f"{capability} {before} -> {after}" if before else f"{capability} {after}, new"


def _begun(rollout: Rollout, stage: StageRecord) -> str:
    whom = f"all {rollout.plan.unit}s" if stage.share == 1 else f"{stage.share * 100:g} % of the {rollout.plan.unit}s"
    return f"{stage.name}: {rollout.candidate.version} serves {whom} from now on"


def _ended(stage: StageRecord) -> str:
    how = "proved good" if stage.status is StageStatus.PASSED else str(stage.status)
    return f"{stage.name}: {how}, {stage.n} calls, {stage.bad} bad"


def _proof(gate: GateEvaluation) -> str:
    if gate.metric is Metric.ERROR_RATE:
        return f"errors proved above {gate.threshold * 100:g} % ({gate.bad} of {gate.n} calls)"
    return f"calls proved slow, over {gate.threshold:g} ms ({gate.bad} of {gate.n})"
