"""Spec 5.1, progressive delivery - decides how a stage is put in force and from which counts it is judged.

Rules:
- A stage is a route: the control, the candidate, and the candidate's share. A hot swap has no share: the candidate
  becomes the control. A `standard` replacement is registered and started when the old version has ended.
- Callers are ranked once, when the first stage begins, where few are known; the route keeps their ranks from then on.
- Every gate is judged on the ledger's exact counts since the stage began; the gateway is asked to write out what it
  still holds first, and when it does not answer the counts say so (`source_up`).
- Every look is kept, with its counts and its reason.

- A candidate in quarantine is a tripwire: it goes, whatever was counted.

Not here: the judgement (`engines/rollouts.py`), the counts (`activities/counts.py`).
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

from temporalio import activity

from activities import messages as m
from activities.context import LOOP, Context, beating
from activities.counts import LedgerCounts
from activities.loading import GatewayDoor, RegisteringDoor, bring_alone, desk_of, put_in_force
from activities.registration import Occasion
from domain.errors import GatewayUnreachable
from domain.plugins import LoadingStrategy, PluginState
from domain.rollouts import Evidence, Rollout, RolloutDecision
from domain.routing import HashId, Route, Unit
from engines import rollouts as engine
from engines.routing import FEW, ranked

KNOWN_FOR: Final = timedelta(days=30)


class RolloutActivities:
    """Moves traffic and reads what came of it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    @activity.defn
    async def activate_stage(self, message: m.StageInput) -> m.Done:
        """Give the candidate the stage's share of traffic."""
        stage = message.rollout.plan.stages[message.index]
        if message.rollout.strategy is LoadingStrategy.STANDARD:
            await self._replace(message)
        else:
            route = await asyncio.to_thread(self._route, message.rollout, stage.share, message.at)
            if route.candidate is not None:
                route = route.model_copy(update={"allowed_callers": stage.target_criteria.callers})
            await self._set(route)
        return m.Done()

    @activity.defn
    async def set_share(self, message: m.ShareChange) -> m.Done:
        """Let the candidate serve another share; nothing to do when it never served.

        One that cannot run beside the old version cannot share with it, and goes with the first step down.
        """
        rollout = await asyncio.to_thread(self._store.rollouts.find, f"rollout-{message.upgrade_id}")
        if rollout is None:
            return m.Done()
        if rollout.strategy is not LoadingStrategy.STANDARD:
            await self._set(await asyncio.to_thread(self._shared, rollout, message.share, message.at))
        elif rollout.control is not None and message.share < 1:
            await self._set(Route(capability=rollout.capability, control=rollout.control))
        return m.Done()

    @activity.defn
    async def finish_rollout(self, message: m.RolloutReport) -> m.Done:
        """Make the candidate the version that serves everyone."""
        rollout = message.rollout
        await self._set(Route(capability=rollout.capability, control=rollout.candidate))
        folders = self._context.folders
        await asyncio.to_thread(folders.install, rollout.candidate)
        if rollout.control is not None:
            await asyncio.to_thread(folders.deprecate, rollout.control)
        return m.Done()

    @activity.defn
    async def judge_stage(self, message: m.JudgeInput) -> RolloutDecision:
        """Read the counts of the running stage and decide what to do."""
        source_up, tripwire = await self._asked(message.rollout)
        evidence = await asyncio.to_thread(self._evidence, message, tripwire, source_up=source_up)
        decision = engine.decide(message.rollout.plan, message.state, evidence, message.at)
        stage = message.rollout.plan.stages[message.state.index].name
        await asyncio.to_thread(self._store.gate_log.append, message.rollout.id, stage, decision, message.at)
        return decision

    @activity.defn
    def record_rollout(self, message: m.RolloutReport) -> m.Done:
        """Remember a rollout as it is now."""
        rollout = message.rollout
        self._store.rollouts.put(rollout)
        self._store.audit.append(
            key=f"{rollout.id}/{message.action}/{message.at.isoformat()}",
            at=message.at,
            actor=LOOP,
            action=message.action,
            subject=rollout.upgrade_id,
            detail={"detail": message.detail, "status": rollout.status, "strategy": rollout.strategy},
        )
        return m.Done()

    async def _set(self, route: Route) -> None:
        async with beating(), self._context.gateway() as gateway:
            await put_in_force(gateway, self._context.packages, route)

    async def _replace(self, message: m.StageInput) -> None:
        """End the old version, register the new one, and give it the callers."""
        candidate = message.rollout.candidate
        packages = self._context.packages
        occasion = Occasion(
            at=message.at,
            actor=LOOP,
            source="plugin registry",
            subject=message.rollout.upgrade_id,
            accept_unproven=True,
        )
        async with beating(), self._context.gateway() as gateway:
            desk = desk_of(self._context, gateway)
            door = RegisteringDoor(GatewayDoor(gateway), desk, packages.path(candidate.digest), occasion)
            await bring_alone(door, candidate, packages.get(candidate.digest).contract)

    def _route(self, rollout: Rollout, share: float, at: datetime) -> Route:
        """Return the route of a stage."""
        if rollout.strategy is LoadingStrategy.HOT_SWAP:
            return Route(capability=rollout.capability, control=rollout.candidate)
        return self._shared(rollout, share, at)

    def _shared(self, rollout: Rollout, share: float, at: datetime) -> Route:
        return Route(
            capability=rollout.capability,
            control=rollout.control,
            candidate=rollout.candidate,
            share=share,
            unit=rollout.plan.unit,
            salt=rollout.plan.salt or rollout.id,
            hash_id=rollout.plan.hash_id,
            population=self._population(rollout, at),
            upgrade_id=rollout.upgrade_id,
        )

    def _population(self, rollout: Rollout, at: datetime) -> tuple[str, ...]:
        """Return the callers who are ranked: those of the rollout's route, else those who are known now."""
        if rollout.plan.unit is not Unit.CALLER or rollout.plan.hash_id is not HashId.XXH3:
            return ()
        route = self._store.routes.load().routes.get(rollout.capability)
        if route is not None and route.upgrade_id == rollout.upgrade_id:
            return route.population
        return ranked(
            rollout.plan.salt or rollout.id, self._store.calls.callers(rollout.capability, at - KNOWN_FOR, at, FEW)
        )

    def _evidence(self, message: m.JudgeInput, tripwire: str, *, source_up: bool) -> Evidence:
        rollout, state = message.rollout, message.state
        counts = LedgerCounts.read(self._store.calls, rollout, state, message.at, source_up=source_up)
        return Evidence(samples=counts.samples(rollout.plan.gates_of(state.index)), tripwire=tripwire)

    async def _asked(self, rollout: Rollout) -> tuple[bool, str]:
        """Let the gateway write out its ledger; return whether it did, and whether the candidate touched a tripwire."""
        try:
            async with self._context.gateway() as gateway:
                await gateway.flush()
                status = await gateway.status()
        except GatewayUnreachable:
            return False, ""
        digest = rollout.candidate.digest
        sick = (one for one in status.versions if one.version.digest == digest and one.state is PluginState.QUARANTINED)
        return True, next((f"{one.version.id} is in quarantine: {one.reason}." for one in sick), "")
