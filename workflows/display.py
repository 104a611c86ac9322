"""Spec 9.1, what a person sees in the Temporal Web UI - decides how a workflow's state reads there.

Rules:
- Search attributes say where an upgrade stands; current details say it in words, as markdown.
- Details end with the exact command a person may give next, ready to be copied.

Not here: the words of one workflow; each composes its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

from domain.rollouts import Rollout, RolloutDecision, RolloutStatus
from domain.upgrades import UpgradePlan, UpgradeStatus

CAPABILITY = SearchAttributeKey.for_keyword("UpgradeCapability")
PHASE = SearchAttributeKey.for_keyword("UpgradePhase")
STATUS = SearchAttributeKey.for_keyword("UpgradeStatus")
RISK = SearchAttributeKey.for_float("UpgradeRisk")

SEARCH_ATTRIBUTES = (CAPABILITY, PHASE, STATUS, RISK)
"""Every search attribute the house needs on the Temporal Service."""


def upgrade_attributes(plan: UpgradePlan) -> TypedSearchAttributes:
    """Return the search attributes an upgrade starts with."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(CAPABILITY, plan.capability),
            SearchAttributePair(RISK, plan.decision.scores.risk),
            SearchAttributePair(STATUS, UpgradeStatus.WAITING_FOR_SLOT.value),
        ]
    )


def show_status(*, phase: str | None = None, status: str | None = None) -> None:
    """Put phase and status into the workflow's search attributes."""
    updates: list[SearchAttributeUpdate[str]] = []
    if phase is not None:
        updates.append(PHASE.value_set(phase))
    if status is not None:
        updates.append(STATUS.value_set(status))
    workflow.upsert_search_attributes(updates)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a markdown table."""
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def update_command(workflow_id: str, name: str) -> str:
    """Return the stock Temporal command that gives an order by Update."""
    return (
        f"temporal workflow update execute -w {workflow_id} --name {name} "
        '-i \'{"actor": "your name", "reason": "why"}\''
    )


def command_block(commands: Iterable[str]) -> str:
    """Return commands as a block that can be copied."""
    return "```\n" + "\n".join(commands) + "\n```"


def rollout_details(rollout: Rollout, decision: RolloutDecision | None, notes: Iterable[str]) -> str:
    """Return what a person should see of a rollout, as markdown."""
    stages = (
        (stage.name, f"{stage.share:.0%}", stage.status.value, f"{stage.bad} of {stage.n}", stage.reason)
        for stage in rollout.stages
    )
    before = rollout.control.version if rollout.control else "new"
    parts = [
        f"## {rollout.capability}: {before} -> {rollout.candidate.version}",
        f"**{rollout.status}** {rollout.reason}".strip(),
        table(("Stage", "Share", "Status", "Bad calls", "Why"), stages),
    ]
    if decision is not None:
        parts.append(f"Last look: **{decision.action}**, {decision.reason} Next look {decision.next_at:%H:%M:%S} UTC.")
        gates = (
            (look.metric.value, f"{look.threshold:g}", f"{look.bad} of {look.n}", look.verdict.value)
            for look in decision.evaluations
        )
        parts.append(table(("Gate", "Limit", "Bad calls", "Verdict"), gates))
    if rollout.status in {RolloutStatus.RUNNING, RolloutStatus.PAUSED}:
        names = ("resume", "abort") if rollout.status is RolloutStatus.PAUSED else ("pause", "abort")
        parts.append(command_block(update_command(rollout.id, name) for name in names))
    parts += [f"_{note}_" for note in notes]
    return "\n\n".join(parts)
