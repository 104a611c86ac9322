"""Spec 9.1, registration and validation steps - decides how a candidate gets a place behind the door and keeps it.

Rules:
- Registered means through all five phases, started, warmed up and without traffic; only a rollout gives it callers.
- A version that cannot run beside the one it replaces goes through the phases that start nothing; the others follow
  when the rollout has ended the old one.
- What cannot be proved of its interface may pass, because a person was asked about it when the upgrade was decided.
- Validated means called as an agent would call it: every golden example of the capability, through the version that is
  in force.

Not here: the five phases (`activities/registration.py`), starting and swapping (`gateway/`, `plugins/core/`).
"""

from __future__ import annotations

from temporalio import activity

from activities import messages as m
from activities.context import LOOP, Context, beating
from activities.loading import desk_of
from activities.registration import Occasion, examine, register
from domain.opportunities import Remedy
from domain.plugins import LoadingStrategy
from domain.upgrades import UpgradePlan


class PluginActivities:
    """Registers and validates plugins."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn
    async def register_plugin(self, message: m.StepInput) -> m.StepReport:
        """Take the candidate through the five phases of registration and load it behind the door."""
        remedy = _remedy(message.plan)
        folder = self._context.packages.path(remedy.package.digest)
        occasion = Occasion(
            at=message.at,
            actor=LOOP,
            source="plugin registry",
            subject=message.plan.id,
            accept_unproven=bool(remedy.doubts),
        )
        alone = message.plan.loading_strategy is LoadingStrategy.STANDARD
        async with beating(), self._context.gateway() as gateway:
            result = await (examine if alone else register)(desk_of(self._context, gateway), folder, occasion)
        seconds = sum(report.seconds for report in result.phases)
        done = "may be started once the old version has ended" if alone else "is registered and serves nobody yet"
        summary = f"{remedy.package.id} {done}, after {seconds:.1f} s."
        return m.StepReport(passed=result.passed, summary=summary if result.passed else result.summary)

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


def _remedy(plan: UpgradePlan) -> Remedy:
    remedy = plan.opportunity.remedy
    assert remedy is not None
    return remedy
