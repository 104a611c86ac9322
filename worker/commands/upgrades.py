"""Appendix B, upgrade history and rollback - decides what `upgrade-loop upgrades` says.

Not here: how an upgrade is taken back (`workflows/rollback.py`).
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from activities.messages import TakenBack
from domain.compensations import RollbackType
from domain.snapshots import Component
from domain.upgrades import UpgradeRecord
from worker.api import RollbackOrder
from worker.commands.documents import upgrade_document
from worker.commands.options import DEFAULT_ACTOR, Actor, Reason, UpgradeId
from worker.commands.session import SESSION, table

app = typer.Typer(help="What was upgraded, how it ended, and how to take it back.")


@app.command()
def history(limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50) -> None:
    """List upgrades, the newest first."""
    with SESSION.store() as store:
        records = store.upgrades.list(limit=limit)

    def human(out: Console) -> None:
        headings = ("upgrade", "from", "to", "status", "why")
        rows = [(one.id, one.from_version or "new", one.to_version, one.status, one.reason) for one in records]
        out.print(table("Upgrades", headings, rows))

    SESSION.answer({"upgrades": [upgrade_document(record) for record in records]}, human)


@app.command()
def show(upgrade_id: UpgradeId) -> None:
    """Show one upgrade: its steps, its stages and what was written to the audit log."""
    with SESSION.store() as store:
        record = store.upgrades.get(upgrade_id)
        rollout = store.rollouts.find(f"rollout-{upgrade_id}")
        entries = store.audit.entries(subject=upgrade_id)
    if rollout is not None:
        record = record.model_copy(update={"stages": rollout.stages})
    document = {**upgrade_document(record), "audit": [entry.model_dump(mode="json") for entry in entries]}

    def human(out: Console) -> None:
        out.print(_story(record))
        rows = [
            (stage.name, f"{stage.share:.0%}", stage.status, f"{stage.bad} of {stage.n}", stage.reason)
            for stage in record.stages
        ]
        out.print(table("Stages", ("stage", "share", "status", "bad calls", "why"), rows))
        lines = [
            (f"{entry.at:%H:%M:%S}", entry.actor, entry.action, entry.detail.get("detail", "")) for entry in entries
        ]
        out.print(table("Audit log", ("at", "who", "what", "detail"), lines))

    SESSION.answer(document, human)


@app.command()
def rollback(
    upgrade_id: UpgradeId,
    kind: Annotated[
        RollbackType, typer.Option("--type", help="full, partial (see --component), compensating or gradual.")
    ] = RollbackType.FULL,
    component: Annotated[list[Component] | None, typer.Option(help="With partial: what to take back.")] = None,
    actor: Actor = DEFAULT_ACTOR,
    reason: Reason = "",
) -> None:
    """Take an upgrade back, running or finished."""
    order = RollbackOrder(upgrade_id=upgrade_id, type=kind, components=tuple(component or ()))

    async def work() -> TakenBack:
        async with SESSION.api(actor) as api:
            return await api.rollback_upgrade(order, reason)

    ended = SESSION.run(work())
    SESSION.code = 0 if ended.result.success else 1

    def human(out: Console) -> None:
        tally = ended.result.compensation
        out.print(f"{upgrade_id} is {ended.status}: {tally.successful} of {tally.total} steps taken back.")
        for action in tally.details:
            if not action.success:
                out.print(f"[red]{action.action_id}: {action.error}[/red]")

    SESSION.answer(ended.model_dump(mode="json"), human)


def _story(record: UpgradeRecord) -> str:
    change = f"{record.from_version or 'new'} -> {record.to_version}"
    steps = ", ".join(record.steps) or "none"
    return f"[bold]{record.id}[/bold] {change}: {record.status}. {record.reason}\nSteps done: {steps}."
