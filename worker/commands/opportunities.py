"""Appendix B, list_opportunities, approve and reject - decides what `upgrade-loop opportunities` says.

Not here: what an answer leads to (`worker/api.py`, `workflows/upgrade.py`).
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from domain.opportunities import OpportunityStatus
from worker.commands.options import DEFAULT_ACTOR, Actor, Reason
from worker.commands.session import SESSION, table

app = typer.Typer(help="What the loop thinks is worth improving, and your word on it.")

OpportunityId = Annotated[str, typer.Argument(metavar="ID", help="Id of an opportunity, as `list` shows it.")]


@app.command(name="list")
def list_opportunities(
    status: Annotated[OpportunityStatus | None, typer.Option(help="Only those with this status, such as open.")] = None,
) -> None:
    """List opportunities, the best first."""
    with SESSION.store() as store:
        found = store.opportunities.list(status=status, limit=1_000)
    found.sort(key=lambda opportunity: (-opportunity.score, opportunity.id))

    def human(out: Console) -> None:
        headings = ("opportunity", "score", "risk", "status", "remedy", "what")
        rows = [
            (
                one.id,
                f"{one.score:.2f}",
                f"{one.estimated_risk:.2f}",
                one.status,
                one.remedy.package.id if one.remedy else "for a person",
                one.description,
            )
            for one in found
        ]
        out.print(table("Opportunities", headings, rows))

    SESSION.answer({"opportunities": [one.model_dump(mode="json") for one in found]}, human)


@app.command()
def approve(opportunity_id: OpportunityId, actor: Actor = DEFAULT_ACTOR, reason: Reason = "") -> None:
    """Say yes: let a waiting upgrade go on, or start one that was refused."""

    async def work() -> str:
        async with SESSION.api(actor) as api:
            return await api.approve_upgrade(opportunity_id, reason)

    upgrade_id = SESSION.run(work())
    SESSION.answer({"approved": True, "upgrade": upgrade_id}, lambda out: out.print(f"Approved: {upgrade_id}."))


@app.command()
def reject(opportunity_id: OpportunityId, reason: Reason, actor: Actor = DEFAULT_ACTOR) -> None:
    """Say no: end a waiting upgrade, and do not propose the idea again."""

    async def work() -> str | None:
        async with SESSION.api(actor) as api:
            return await api.reject_upgrade(opportunity_id, reason)

    upgrade_id = SESSION.run(work())
    SESSION.answer({"rejected": True, "upgrade": upgrade_id}, lambda out: out.print(f"Rejected {opportunity_id}."))
