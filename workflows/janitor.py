"""Spec 8.1, repair - decides what happens to upgrades whose workflow died without an outcome.

Rules:
- An upgrade that the store says is under way but no workflow carries is taken back like any other.
- What is past its keeping time (ledger rows, snapshots no upgrade needs) is cleared away.

Not here: finding them (`activities/janitor.py`).
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities import messages as m
from workflows import hands
from workflows.failures import reason_of
from workflows.rollback import take_back


@workflow.defn(name="Janitor")
class JanitorWorkflow:
    """One round of the janitor."""

    @workflow.run
    async def run(self, start: m.SweepInput) -> m.Swept:
        """Look for orphans, and take them back."""
        swept = await hands.sweep(start.model_copy(update={"at": workflow.now()}))
        for upgrade_id in swept.orphans:
            order = m.RollbackInput(
                upgrade_id=upgrade_id,
                reason="its workflow is gone without an outcome",
                origin=m.RollbackOrigin.JANITOR,
            )
            try:
                await take_back(order)
            except FailureError as failure:
                workflow.logger.error("orphan not taken back: %s", reason_of(failure))
        return swept
