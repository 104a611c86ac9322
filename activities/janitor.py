"""Spec 8.1, repair - decides what the janitor finds and clears away.

Rules:
- An upgrade is an orphan when the store says it is under way and Temporal says no workflow of its id is running.
- A place held by an upgrade that has ended is given back.
- Plugin folders that were lost are made again from the routes and the packages.
- Ledger rows and snapshots are kept as long as the settings say; a snapshot an open upgrade needs is always kept,
  and so is the newest one.

Not here: taking orphans back (`workflows/janitor.py`).
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from temporalio import activity
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities import messages as m
from activities.context import Context, beating
from domain.upgrades import OUTCOMES, UpgradeRecord
from plugins.core.catalogue import Catalogue


class JanitorActivities:
    """Looks for what was left behind."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    @activity.defn
    async def sweep(self, message: m.SweepInput) -> m.Swept:
        """Find orphans and clear away what is past its time."""
        assert message.at is not None
        async with beating():
            open_upgrades = [
                record
                for record in await asyncio.to_thread(self._store.upgrades.list, limit=1_000)
                if record.status not in OUTCOMES
            ]
            orphans = [record.id for record in open_upgrades if not await self._is_carried(record)]
            open_ids = {record.id for record in open_upgrades}
            return m.Swept(
                orphans=tuple(orphans),
                released_slots=await asyncio.to_thread(self._release, open_ids),
                pruned_calls=await asyncio.to_thread(self._prune_calls, message.at),
                pruned_snapshots=await asyncio.to_thread(self._prune_snapshots, message.at, open_ids),
                restored_plugins=await asyncio.to_thread(self._restore_plugins),
            )

    def _restore_plugins(self) -> int:
        registered = {package.digest for package in self._store.packages.list()}
        catalogue = Catalogue(self._context.home.plugins, self._context.packages, self._context.folders)
        return len(catalogue.restore(self._store.routes.load(), registered))

    async def _is_carried(self, record: UpgradeRecord) -> bool:
        for workflow_id in (f"upgrade-{record.capability}", f"rollback-{record.id}"):
            try:
                description = await self._context.client.get_workflow_handle(workflow_id).describe()
            except RPCError as failure:
                if failure.status is not RPCStatusCode.NOT_FOUND:
                    raise
            else:
                if description.status is WorkflowExecutionStatus.RUNNING:
                    return True
        return False

    def _release(self, open_ids: set[str]) -> int:
        stale = [slot.upgrade_id for slot in self._store.slots.held() if slot.upgrade_id not in open_ids]
        for upgrade_id in stale:
            self._store.slots.release(upgrade_id)
        return len(stale)

    def _prune_calls(self, now: datetime) -> int:
        keep = timedelta(days=self._context.settings.gateway.ledger_retention_days)
        return self._store.calls.prune(now - keep)

    def _prune_snapshots(self, now: datetime, open_ids: set[str]) -> int:
        oldest = now - timedelta(days=self._context.settings.rollback.snapshot_retention_days)
        snapshots = self._store.snapshots.list(limit=10_000)
        stale = [one for one in snapshots[1:] if one.taken_at < oldest and one.upgrade_id not in open_ids]
        kept = {part.digest for one in snapshots if one not in stale for part in one.parts}
        for snapshot in stale:
            self._store.snapshots.delete(snapshot.id)
            for digest in {part.digest for part in snapshot.parts} - kept:
                self._context.blobs.remove(digest)
        return len(stale)
