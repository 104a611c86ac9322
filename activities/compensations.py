"""Spec 8.3, compensating actions - decides how each kind of step is taken back.

Rules:
- A compensation is written to the store before its step acts, with all that is needed to run it after a crash.
- Running one twice is harmless; running one whose step never acted is harmless.
- One that cannot succeed is marked failed with the reason, and the others still run.

Not here: which run, and in which order (`activities/rollbacks.py`, `workflows/rollback.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from temporalio import activity

from activities import messages as m
from activities.context import LOOP, Context, beating
from activities.loading import put_in_force
from activities.snapshots import restore
from domain.base import JsonObject
from domain.compensations import ActionResult, CompensatingAction, CompensationKind, CompensationState
from domain.errors import ServiceUnreachable, UpgradeLoopError
from domain.experiments import ExperimentStatus
from domain.routing import PluginVersion, Route


class CompensationActivities:
    """Registers and runs compensations."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store
        self._run: dict[CompensationKind, Callable[[CompensatingAction], Awaitable[None]]] = {
            CompensationKind.RESTORE_SNAPSHOT: self._restore_snapshot,
            CompensationKind.RESTORE_ROUTE: self._restore_route,
            CompensationKind.REMOVE_PLUGIN: self._remove_plugin,
            CompensationKind.CLOSE_EXPERIMENT: self._close_experiment,
            CompensationKind.RELEASE_SLOT: self._release_slot,
        }

    @activity.defn
    def register_compensation(self, message: m.CompensationInput) -> CompensatingAction:
        """Write a compensation down; the first registration of a step stands."""
        arguments = message.arguments
        if message.kind is CompensationKind.RESTORE_ROUTE:
            arguments = {**arguments, "route": self._route_now(str(arguments["capability"]))}
        return self._store.compensations.register(message.upgrade_id, message.step, message.kind, arguments, message.at)

    @activity.defn
    async def run_compensation(self, message: m.CompensationRun) -> ActionResult:
        """Take one step back.

        Raises:
            ServiceUnreachable: something that should answer does not; the activity is tried again.
        """
        action = message.action
        try:
            async with beating():
                await self._run[action.kind](action)
        except ServiceUnreachable:
            raise
        except UpgradeLoopError as failure:
            return await self._ended(message, CompensationState.FAILED, f"{failure.message} {failure.hint}".strip())
        return await self._ended(message, CompensationState.DONE)

    async def _ended(self, message: m.CompensationRun, state: CompensationState, error: str = "") -> ActionResult:
        action = message.action
        await asyncio.to_thread(self._store.compensations.mark, action.id, state, error)
        await asyncio.to_thread(
            lambda: self._store.audit.append(
                key=f"{action.id}/{state}/{message.at.isoformat()}",
                at=message.at,
                actor=LOOP,
                action=f"compensation.{state}",
                subject=action.upgrade_id,
                detail={"kind": action.kind, "step": action.step, "error": error},
            )
        )
        return ActionResult(action_id=action.id, success=state is CompensationState.DONE, error=error)

    def _route_now(self, capability: str) -> JsonObject | None:
        route = self._store.routes.load().routes.get(capability)
        return route.model_dump(mode="json") if route else None

    async def _restore_snapshot(self, action: CompensatingAction) -> None:
        await restore(self._context, str(action.arguments["snapshot_id"]))

    async def _restore_route(self, action: CompensatingAction) -> None:
        before = action.arguments.get("route")
        async with self._context.gateway() as gateway:
            if before is None:
                await gateway.remove_route(str(action.arguments["capability"]))
            else:
                await put_in_force(gateway, self._context.packages, Route.model_validate(before))

    async def _remove_plugin(self, action: CompensatingAction) -> None:
        version = PluginVersion.model_validate(action.arguments["version"])
        table = await asyncio.to_thread(self._store.routes.load)
        if version.digest in table.versions:
            return
        async with self._context.gateway() as gateway:
            await gateway.unload(version.digest)
        await asyncio.to_thread(self._context.folders.deprecate, version)
        await asyncio.to_thread(self._store.packages.remove, version.digest)
        await asyncio.to_thread(self._context.packages.remove, version.digest)

    async def _close_experiment(self, action: CompensatingAction) -> None:
        experiment = await asyncio.to_thread(self._store.experiments.find, str(action.arguments["experiment_id"]))
        if experiment is not None and experiment.ended_at is None:
            closed = experiment.model_copy(update={"status": ExperimentStatus.CANCELLED})
            await asyncio.to_thread(self._store.experiments.put, closed)

    async def _release_slot(self, action: CompensatingAction) -> None:
        await asyncio.to_thread(self._store.slots.release, action.upgrade_id)
