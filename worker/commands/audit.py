"""Spec 9.1, audit logger - decides what `upgrade-loop audit` says.

Not here: the chain (`domain/audit.py`, `store/audit.py`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from worker.commands.session import SESSION, table

app = typer.Typer(help="Read the audit log, and prove that nobody changed it.")


@app.command()
def verify() -> None:
    """Walk the whole chain; exit 1 if an entry was changed, removed or moved."""
    with SESSION.store() as store:
        found = store.audit.verify()
    SESSION.code = 0 if found.ok else 1
    verdict = "unbroken" if found.ok else f"broken at entry {found.first_bad}: {found.reason}"
    SESSION.answer(found.model_dump(mode="json"), lambda out: out.print(f"{found.entries} entries, {verdict}."))


@app.command()
def show(
    subject: Annotated[str | None, typer.Option(help="Only entries about this id.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 100,
) -> None:
    """Print entries, in the order they were written."""
    with SESSION.store() as store:
        entries = store.audit.entries(subject=subject, limit=limit)
    rows = [(one.sequence, f"{one.at:%Y-%m-%d %H:%M:%S}", one.actor, one.action, one.subject) for one in entries]
    headings = ("entry", "at", "who", "what", "to what")
    SESSION.answer(
        {"entries": [one.model_dump(mode="json") for one in entries]},
        lambda out: out.print(table("Audit log", headings, rows)),
    )
