"""Spec 3.4, dynamic loading - decides which states a plugin version passes through and what is told about it.

Rules:
- A version is loaded, warm, serving, draining, stopped; five crashes in a row put it into quarantine.
- A draining version may be taken back into service while it still lives: that is how a rollback is instant.
- Only a warm or serving version answers calls.

Not here: the processes themselves (`plugins/core/lifecycle.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from domain.base import Model, Moment
from domain.isolation import Isolation
from domain.routing import PluginVersion


class PluginState(StrEnum):
    """Where a version stands in the host."""

    LOADING = "loading"
    WARM = "warm"
    SERVING = "serving"
    DRAINING = "draining"
    STOPPED = "stopped"
    QUARANTINED = "quarantined"


PLUGIN_TRANSITIONS: Mapping[PluginState, frozenset[PluginState]] = {
    PluginState.LOADING: frozenset({PluginState.WARM, PluginState.STOPPED}),
    PluginState.WARM: frozenset(
        {PluginState.SERVING, PluginState.DRAINING, PluginState.QUARANTINED, PluginState.STOPPED}
    ),
    PluginState.SERVING: frozenset({PluginState.DRAINING, PluginState.QUARANTINED, PluginState.STOPPED}),
    PluginState.DRAINING: frozenset({PluginState.SERVING, PluginState.QUARANTINED, PluginState.STOPPED}),
    PluginState.QUARANTINED: frozenset({PluginState.STOPPED}),
    PluginState.STOPPED: frozenset(),
}

ANSWERING = frozenset({PluginState.WARM, PluginState.SERVING})
"""The states in which a version takes new calls."""


class Standing(StrEnum):
    """Which folder of spec 3.3 a version stands in."""

    INSTALLED = "installed"
    EXPERIMENTAL = "experimental"
    DEPRECATED = "deprecated"


class LifecycleEvent(StrEnum):
    """What happens to a version that is worth an entry in the audit log."""

    LOADED = "loaded"
    FAILED = "failed"
    SERVING = "serving"
    DRAINING = "draining"
    REVIVED = "revived"
    STOPPED = "stopped"
    RESTARTED = "restarted"
    QUARANTINED = "quarantined"
    HOOK_FAILED = "hook_failed"
    CIRCUIT_OPENED = "circuit_opened"
    CIRCUIT_CLOSED = "circuit_closed"
    NETWORK_REFUSED = "network_refused"
    UNINSTALLED = "uninstalled"


class PluginEvent(Model):
    """Something that happened to a version, and why.

    Attributes:
        isolation: the tier it runs in, told when it was loaded.
    """

    version: PluginVersion
    event: LifecycleEvent
    reason: str = Field(default="", max_length=2_000)
    isolation: Isolation | None = None


class LifecycleRecord(Model):
    """An event of a version on its way to the audit log."""

    id: str
    at: Moment
    happened: PluginEvent


class LoadReport(Model):
    """How a version was brought up.

    Attributes:
        tools: the tool names it answers to.
        instances: processes running.
        warm_up_calls: golden calls made on all instances together, health checks not counted.
        seconds: wall time from the order to the last instance being ready.
        isolation: the tier its processes run in.
        already_loaded: nothing had to be done.
    """

    version: PluginVersion
    tools: tuple[str, ...]
    instances: int = Field(ge=1)
    warm_up_calls: int = Field(ge=0)
    seconds: float = Field(ge=0)
    isolation: Isolation
    already_loaded: bool = False


class LoadingStrategy(StrEnum):
    """How a version comes into service (3.4).

    `hot_swap`: beside the old one, then one switch, then the old one ends.
    `blue_green`: the same, but the old one stays whole for a while and is switched back to if the new one is sick.
    `canary`: beside the old one, for a share of the callers.
    `standard`: the old one ends first, for plugins of which two versions cannot run side by side.
    """

    HOT_SWAP = "hot_swap"
    BLUE_GREEN = "blue_green"
    CANARY = "canary"
    STANDARD = "standard"


class LoadResult(Model):
    """How a version came into service, or why it did not.

    Attributes:
        serving: capabilities that the version answers for now, with the share of their callers.
        replaced: the version that answered before, by capability; nothing for a new one.
        switched_back: the version had callers and lost them again, to the one before it.
        seconds: from the order to its end.
        reason: why it does not serve; empty when it does.
    """

    strategy: LoadingStrategy
    version: PluginVersion
    passed: bool
    serving: dict[str, float] = Field(default_factory=dict)
    replaced: dict[str, PluginVersion] = Field(default_factory=dict)
    switched_back: bool = False
    seconds: float = Field(default=0.0, ge=0)
    reason: str = ""


class UnloadReport(Model):
    """How a version was put down.

    Attributes:
        was_loaded: False when there was nothing to do.
        killed_in_flight: calls still running at the drain deadline; their callers were told.
        revived: the version was wanted again while it drained, and went on serving.
    """

    digest: str
    was_loaded: bool
    killed_in_flight: int = Field(default=0, ge=0)
    revived: bool = False


class LoadedVersion(Model):
    """A version as it stands now.

    Attributes:
        instances: processes alive and ready.
        in_flight: calls being served or waiting for an instance.
        restarts: instances started again since the version was loaded.
        spares: instances kept warm beside them.
        rss_bytes: resident memory of all of them.
        isolation: the tier they run in.
        reason: why the version is in quarantine, else empty.
    """

    version: PluginVersion
    state: PluginState
    instances: int = Field(ge=0)
    in_flight: int = Field(ge=0)
    restarts: int = Field(ge=0)
    spares: int = Field(default=0, ge=0)
    rss_bytes: int = Field(ge=0)
    isolation: Isolation
    reason: str = ""
