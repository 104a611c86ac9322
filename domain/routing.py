"""Spec 4.1 and 5.1, routing - decides what a route is: which version answers which share of a capability's callers.

Rules:
- A table is immutable and numbered; a change is a new table with the next generation.
- A capability has one control (absent while the capability is new) and at most one candidate.
- The allow-list is served by the candidate whatever the share; it is how a stage can be internal at 0 %.
- How units are placed is pinned by its id in the route: no release moves the callers of a rollout that runs.

Not here: the hash that places a unit (`engines/routing.py`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.base import Model, Share
from domain.contracts import Name
from domain.versions import SemanticVersion


class Unit(StrEnum):
    """What is assigned to a version as a whole."""

    CALLER = "caller"
    AGENT = "agent"
    SESSION = "session"
    CALL = "call"


class HashId(StrEnum):
    """How units are placed; an id means the same placement for ever."""

    XXH3 = "xxh3-64/1"
    GROWTHBOOK = "growthbook-v2"
    UNLEASH = "unleash-murmur3"


class VariantName(StrEnum):
    """Which of the two versions of a route."""

    CONTROL = "control"
    CANDIDATE = "candidate"


class PluginVersion(Model):
    """One exact version of a plugin: what runs behind a route."""

    plugin: Name
    version: SemanticVersion
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")

    @property
    def id(self) -> str:
        """`name@version`, as people write it."""
        return f"{self.plugin}@{self.version}"


class Route(Model):
    """Who serves one capability.

    Attributes:
        share: part of the units that the candidate serves, in [0, 1].
        salt: seeds the placement, so that two rollouts choose different callers.
        hash_id: how units are placed.
        population: the callers known when the rollout began, by their hashes and in the order of their ranks, where
            they are so few that a share of slots may hold none of them; else empty.
        allowed_callers: callers whom the candidate serves whatever the share.
        upgrade_id: the upgrade that put the candidate here.
    """

    capability: Name
    control: PluginVersion | None = None
    candidate: PluginVersion | None = None
    share: Share = 0.0
    unit: Unit = Unit.CALLER
    salt: str = ""
    hash_id: HashId = HashId.XXH3
    population: tuple[str, ...] = ()
    allowed_callers: tuple[str, ...] = ()
    upgrade_id: str | None = None

    @property
    def versions(self) -> tuple[PluginVersion, ...]:
        """The versions that must be running for this route."""
        return tuple(version for version in (self.control, self.candidate) if version is not None)

    def version_of(self, variant: VariantName) -> PluginVersion | None:
        """Return the version behind a variant's name."""
        return self.control if variant is VariantName.CONTROL else self.candidate


class RoutingTable(Model):
    """All routes at one generation."""

    generation: int = Field(default=0, ge=0)
    routes: dict[str, Route] = Field(default_factory=dict)

    def with_route(self, route: Route) -> RoutingTable:
        """Return the next table, in which the route stands."""
        return RoutingTable(generation=self.generation + 1, routes={**self.routes, route.capability: route})

    def without(self, capability: str) -> RoutingTable:
        """Return the next table, in which the capability is gone."""
        kept = {name: route for name, route in self.routes.items() if name != capability}
        return RoutingTable(generation=self.generation + 1, routes=kept)

    @property
    def versions(self) -> dict[str, PluginVersion]:
        """Every version that some route needs, by digest."""
        return {version.digest: version for route in self.routes.values() for version in route.versions}
