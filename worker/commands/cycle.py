"""Appendix B, trigger_cycle and get_cycle_status - decides what `upgrade-loop cycle` says.

Not here: what a cycle does (`workflows/upgrade_cycle.py`).
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from worker.commands.documents import cycle_document
from worker.commands.options import DEFAULT_ACTOR, Actor
from worker.commands.session import SESSION, table

app = typer.Typer(help="Run the loop now, and see what its runs found.")


@app.command()
def trigger(actor: Actor = DEFAULT_ACTOR) -> None:
    """Start a cycle now, beside the scheduled ones."""

    async def work() -> str:
        async with SESSION.api(actor) as api:
            return await api.trigger_cycle()

    cycle_id = SESSION.run(work())
    SESSION.answer({"id": cycle_id}, lambda out: out.print(f"Started {cycle_id}."))


@app.command()
def status(cycle_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a cycle.")]) -> None:
    """Show one cycle, phase by phase."""
    with SESSION.store() as store:
        record = store.cycles.get(cycle_id)

    def human(out: Console) -> None:
        rows = [(phase.name, phase.status, phase.seconds, phase.summary) for phase in record.phases]
        out.print(table(f"{record.id}: {record.status}", ("phase", "status", "seconds", "found"), rows))
        if record.error:
            out.print(f"[red]{record.error}[/red]")

    SESSION.answer(cycle_document(record), human)


@app.command(name="list")
def list_cycles(limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20) -> None:
    """List the latest cycles."""
    with SESSION.store() as store:
        records = store.cycles.list(limit=limit)
    headings = ("cycle", "trigger", "status", "started", "gaps", "patterns", "upgrades")
    rows = [
        (
            record.id,
            record.trigger,
            record.status,
            f"{record.started_at:%Y-%m-%d %H:%M:%S}",
            record.gaps,
            record.patterns,
            len(record.upgrade_ids),
        )
        for record in records
    ]
    SESSION.answer(
        {"cycles": [cycle_document(record) for record in records]}, lambda out: out.print(table("", headings, rows))
    )
