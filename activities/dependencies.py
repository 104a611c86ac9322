"""Spec 6.1, dependency resolution - decides which packages an upgrade needs, and fetches the candidate.

Rules:
- The candidate is copied out of the registry by content here, once; every later step works on this copy.
- A package whose content is not what the opportunity named is refused.

Not here: the solver (`engines/dependencies.py`).
"""

from __future__ import annotations

from temporalio import activity

from activities import messages as m
from activities.context import Context
from domain.dependencies import ResolutionStatus
from domain.errors import DependencyResolutionFailed
from domain.upgrades import UpgradePlan
from engines.dependencies import resolve


class DependencyActivities:
    """Resolves and fetches."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn
    def resolve_dependencies(self, message: m.StepInput) -> m.StepReport:
        """Find the versions the candidate needs, and fetch it."""
        package = self._context.packages.get(self._fetch(message.plan))
        installed = [one.contract for one in self._context.store.packages.list()]
        resolution = resolve(package, self._context.market(), installed)
        if resolution.status is not ResolutionStatus.RESOLVED:
            return m.StepReport(passed=False, summary=resolution.explanation)
        needed = ", ".join(resolution.install_order)
        return m.StepReport(passed=True, summary=f"Resolved: {needed}.", detail=resolution.model_dump(mode="json"))

    def _fetch(self, plan: UpgradePlan) -> str:
        remedy = plan.opportunity.remedy
        assert remedy is not None
        wanted = remedy.package
        offers = [package for package in self._context.market() if package.digest == wanted.digest]
        registry = self._context.registry
        if registry is None or not offers:
            raise DependencyResolutionFailed(
                f"The registry no longer offers {wanted.id} with digest {wanted.digest[:12]}.",
                hint="Run a cycle; it will look at what is on offer now.",
            )
        return self._context.packages.add(registry.folder_of(offers[0])).digest
