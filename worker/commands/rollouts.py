"""Spec 5.1, steering rollouts - decides what `upgrade-loop rollouts` says and orders.

Not here: what an order does (`workflows/rollout.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from plugins.core.packages import write_whole
from worker.commands.options import DEFAULT_ACTOR, Actor, Reason, UpgradeId
from worker.commands.session import SESSION, table
from worker.rollout_page import page as rollout_page
from workflows.ids import rollout_workflow_id

app = typer.Typer(help="Follow and steer the rollout of an upgrade.")


@app.command()
def show(
    upgrade_id: UpgradeId,
    page: Annotated[
        Path | None, typer.Option(help="Write a page with charts to this file, to be read in a browser.")
    ] = None,
) -> None:
    """Show the stages of a rollout and every look at its gates."""
    with SESSION.store() as store:
        rollout = store.rollouts.get(rollout_workflow_id(upgrade_id))
        looks = store.gate_log.of(rollout.id)
    if page is not None:
        write_whole(page, rollout_page(rollout, looks).encode())

    def human(out: Console) -> None:
        stages = [
            (stage.name, f"{stage.share:.0%}", stage.status, f"{stage.bad} of {stage.n}", stage.reason)
            for stage in rollout.stages
        ]
        title = f"{rollout.id}: {rollout.status}"
        out.print(table(title, ("stage", "share", "status", "bad calls", "why"), stages))
        rows = [(f"{look.at:%H:%M:%S}", look.stage, look.decision.action, look.decision.reason) for look in looks]
        out.print(table("Looks", ("at", "stage", "action", "why"), rows))
        if page is not None:
            out.print(f"The page is {page}.", highlight=False)

    document = {**rollout.model_dump(mode="json"), "looks": [look.model_dump(mode="json") for look in looks]}
    SESSION.answer(document, human)


@app.command()
def pause(upgrade_id: UpgradeId, actor: Actor = DEFAULT_ACTOR, reason: Reason = "") -> None:
    """Stop the clock of the running stage; its gates stay armed."""
    _order(upgrade_id, "pause", actor, reason)


@app.command()
def resume(upgrade_id: UpgradeId, actor: Actor = DEFAULT_ACTOR, reason: Reason = "") -> None:
    """Let a paused rollout go on."""
    _order(upgrade_id, "resume", actor, reason)


@app.command()
def promote(upgrade_id: UpgradeId, actor: Actor = DEFAULT_ACTOR, reason: Reason = "") -> None:
    """Give the yes that a stage waits for."""
    _order(upgrade_id, "promote", actor, reason)


@app.command()
def abort(upgrade_id: UpgradeId, actor: Actor = DEFAULT_ACTOR, reason: Reason = "") -> None:
    """End the rollout; the upgrade is taken back."""
    _order(upgrade_id, "abort", actor, reason)


def _order(upgrade_id: str, name: str, actor: str, reason: str) -> None:
    async def work() -> str:
        async with SESSION.api(actor) as api:
            return await api.order(rollout_workflow_id(upgrade_id), name, reason)

    answer = SESSION.run(work())
    SESSION.answer({"taken": True, "message": answer}, lambda out: out.print(answer))
