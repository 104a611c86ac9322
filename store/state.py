"""Spec 8.2, state component of a snapshot - decides which rows belong to a capability, and how they come back.

Rules:
- A capability's state is its route, its opportunities and the packages that provide it.
- Putting a state back twice is the same as once; the routing table gets a new generation only if the route changes.
- Rows that came after the snapshot stay, and so does every no that was said since.

Not here: the other components of a snapshot (`activities/snapshots.py`).
"""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, ValidationError

from domain.base import JsonObject, Model, Moment
from domain.contracts import PluginPackage
from domain.errors import RestoreFailed
from domain.opportunities import UpgradeOpportunity
from domain.routing import Route, RoutingTable
from store.opportunities import Opportunities
from store.packages import Packages
from store.routes import Routes
from store.sessions import Sessions


class PackageEntry(Model):
    """A package, and when it came."""

    package: PluginPackage
    added_at: Moment


class CapabilityState(Model):
    """The rows of one capability."""

    capability: str
    route: Route | None
    opportunities: tuple[UpgradeOpportunity, ...] = Field(default=())
    packages: tuple[PackageEntry, ...] = Field(default=())


class States:
    """The rows of capabilities, as documents."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._routes = Routes(sessions)
        self._opportunities = Opportunities(sessions)
        self._packages = Packages(sessions)

    def export(self, capability: str) -> JsonObject:
        """Return the rows of a capability as one document; of an unknown one, a document that says so."""
        with self._sessions.writing():  # a writing block, so that nothing changes between the three looks
            opportunities = self._opportunities.list(capability=capability, limit=None)
            state = CapabilityState(
                capability=capability,
                route=self._routes.load().routes.get(capability),
                opportunities=tuple(reversed(opportunities)),
                packages=tuple(
                    PackageEntry(package=package, added_at=at) for package, at in self._packages.providing(capability)
                ),
            )
        return state.model_dump(mode="json")

    def restore(self, document: JsonObject, at: datetime) -> RoutingTable:
        """Bring the rows of a capability back to what a document says, all of them or none.

        Returns:
            The routing table in force afterwards.

        Raises:
            RestoreFailed: the document is not one that `export` made.
        """
        try:
            state = CapabilityState.model_validate(document)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise RestoreFailed(
                f"The state of a capability cannot be restored: {where}: {first['msg']}.",
                hint="Verify the snapshot that the document is from.",
            ) from error
        with self._sessions.exclusive("routes") as session:
            for entry in state.packages:
                self._packages.put(entry.package, entry.added_at)
            for opportunity in state.opportunities:
                self._opportunities.restore(session, opportunity)
            return self._restore_route(state.capability, state.route, at)

    def _restore_route(self, capability: str, route: Route | None, at: datetime) -> RoutingTable:
        current = self._routes.load()
        if current.routes.get(capability) == route:
            return current
        table = current.without(capability) if route is None else current.with_route(route)
        self._routes.save(table, at)
        return table
