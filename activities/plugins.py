"""Spec 3.1, registration - decides how a candidate gets from the registry to a place behind the door.

Rules:
- The package is copied by content: what was checked is what runs, whatever happens to the registry meanwhile.
- Registered means installed, started, warmed up and without traffic; only a rollout gives it callers.
- Validated means called as an agent would call it: every golden example of the capability, through the version that is
  in force.

Not here: starting and swapping (`gateway/`, `plugins/core/`).
"""

from __future__ import annotations

import asyncio

from temporalio import activity

from activities import messages as m
from activities.context import LOOP, Context, beating
from domain.opportunities import Remedy
from domain.routing import PluginVersion
from domain.upgrades import UpgradePlan


class PluginActivities:
    """Registers and validates plugins."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn
    async def register_plugin(self, message: m.StepInput) -> m.StepReport:
        """Install the candidate and load it behind the door."""
        version = _remedy(message.plan).package
        async with beating(), self._context.gateway() as gateway:
            report = await gateway.load(version)
        await asyncio.to_thread(self._remember, message, version)
        return m.StepReport(
            passed=True, summary=f"{version.id} started in {report.seconds:.1f} s and serves nobody yet."
        )

    @activity.defn
    async def validate_upgrade(self, message: m.StepInput) -> m.StepReport:
        """Call the version in force with its golden examples."""
        remedy = _remedy(message.plan)
        async with beating(), self._context.gateway() as gateway:
            route = (await gateway.status()).table.routes.get(remedy.capability)
            if route is None or route.control != remedy.package:
                served = route.control.id if route and route.control else "nothing"
                return m.StepReport(passed=False, summary=f"{remedy.capability} is served by {served}.")
            contract = self._context.packages.get(remedy.package.digest).contract
            interface = contract.interface(remedy.capability)
            methods = interface.methods if interface else ()
            probes = [(method.name, example) for method in methods if method.repeatable for example in method.examples]
            for name, example in probes:
                probe = await gateway.probe(remedy.package, remedy.capability, name, example.arguments)
                if not probe.ok:
                    return m.StepReport(passed=False, summary=f"{name} failed a golden call: {probe.message}")
        return m.StepReport(passed=True, summary=f"{len(probes)} golden calls answered by {remedy.package.id}.")

    @activity.defn
    def validate_deployed(self, message: m.CycleMoment) -> m.Validated:
        """Compare what is routed with what the records say is deployed.

        A capability in the middle of an upgrade is left out: its route and its record change one after the other.
        """
        del message
        store = self._context.store
        latest = {record.capability: record.to_version for record in reversed(store.upgrades.list(status="deployed"))}
        for record in store.upgrades.under_way():
            latest.pop(record.capability, None)
        routes = store.routes.load().routes
        wrong = [
            capability
            for capability, version in latest.items()
            if (route := routes.get(capability)) is None or route.control is None or route.control.version != version
        ]
        return m.Validated(checked=len(latest), wrong=tuple(wrong))

    def _remember(self, message: m.StepInput, version: PluginVersion) -> None:
        self._context.folders.experiment(version)
        self._context.store.packages.put(self._context.packages.get(version.digest), message.at)
        self._context.store.audit.append(
            key=f"{message.plan.id}/plugin.registered",
            at=message.at,
            actor=LOOP,
            action="plugin.registered",
            subject=message.plan.id,
            detail=version.model_dump(mode="json"),
        )


def _remedy(plan: UpgradePlan) -> Remedy:
    remedy = plan.opportunity.remedy
    assert remedy is not None
    return remedy
