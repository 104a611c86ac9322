"""Spec 10.2, event triggers - decides what the door notices that is worth a cycle, and how often it says so.

Rules:
- A lack that an agent notices, a version that is put into quarantine, and a burst of errors of one capability are
  worth a cycle.
- A burst is `BURST_ERRORS` failures through versions' own fault within `BURST_WINDOW`; the next one starts from none.
- Of each type of event, the first is told at once; those of the following pause are told together, at its end.
- What a plugin was refused on the network goes into the audit log once for each version and reason, up to
  `REFUSALS_LIMIT` of them: a plugin that asks again and again does not fill it.
- A listener that fails does not concern the agent, nor the next notice.

Not here: what a notice starts (`worker/`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from domain.calls import NOT_THE_VERSIONS_FAULT, CallRecord, CapabilityRequest
from domain.events import Event, EventType
from domain.network import NetworkOutcome, NetworkRequest
from domain.plugins import LifecycleEvent, LoadedVersion, PluginEvent
from domain.routing import PluginVersion

_LOG = logging.getLogger(__name__)
BURST_ERRORS: Final = 20
BURST_WINDOW: Final = timedelta(seconds=60)
REFUSALS_LIMIT: Final = 1_000

Listener = Callable[[Event], Awaitable[None]]
"""Told of an event; what it raises is logged and goes no further."""


class Notices:
    """Tells a listener of events, at a bounded rate for each type of them.

    Args:
        listener: told; nobody is when None.
        pause_seconds: least time between two notices of one type.
        monotonic: seconds that never run backwards.
    """

    def __init__(self, listener: Listener | None, pause_seconds: float, monotonic: Callable[[], float]) -> None:
        self._listener = listener
        self._pause = pause_seconds
        self._monotonic = monotonic
        self._next_at: dict[EventType, float] = {}
        self._waiting: dict[EventType, list[Event]] = {}
        self._tasks: dict[EventType, asyncio.Task[None]] = {}

    def notice(self, event: Event) -> None:
        """Take note of an event; never waits."""
        if self._listener is None:
            return
        self._waiting.setdefault(event.type, []).append(event)
        task = self._tasks.get(event.type)
        if task is None or task.done():
            self._tasks[event.type] = asyncio.get_running_loop().create_task(self._tell(self._listener, event.type))

    async def close(self) -> None:
        """Stop telling."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _tell(self, listener: Listener, kind: EventType) -> None:
        while self._waiting.get(kind):
            await asyncio.sleep(max(0.0, self._next_at.get(kind, 0.0) - self._monotonic()))
            told = self._waiting.pop(kind)
            self._next_at[kind] = self._monotonic() + self._pause
            try:
                await listener(_together(told))
            except Exception:
                _LOG.exception("The notice of %d events %s was not taken.", len(told), kind)


class ErrorBursts:
    """Sees when the versions of one capability fail often in a short time."""

    def __init__(self) -> None:
        self._failures: dict[str, deque[datetime]] = {}

    def seen(self, record: CallRecord) -> Event | None:
        """Take note of an attempt, and return the event if it completes a burst."""
        if record.error is None or record.error in NOT_THE_VERSIONS_FAULT:
            return None
        failures = self._failures.setdefault(record.capability, deque(maxlen=BURST_ERRORS))
        failures.append(record.started_at)
        if len(failures) < BURST_ERRORS or failures[-1] - failures[0] > BURST_WINDOW:
            return None
        failures.clear()
        who = record.version or "no version at all"
        return Event(
            type=EventType.PATTERN_DETECTED,
            subject=record.capability,
            message=f"{record.capability} failed {BURST_ERRORS} times within {BURST_WINDOW.seconds} seconds, "
            f"last as {record.error} of {who}.",
            at=record.started_at,
        )


class Refusals:
    """Sees what a plugin was refused on the network for the first time."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def news(self, request: NetworkRequest) -> PluginEvent | None:
        """Return what the audit log should know of a request, if anything."""
        told = (request.digest, request.reason)
        if request.outcome is not NetworkOutcome.REFUSED or told in self._seen or len(self._seen) >= REFUSALS_LIMIT:
            return None
        self._seen.add(told)
        name, _, number = request.plugin.partition("@")
        version = PluginVersion(plugin=name, version=number, digest=request.digest)
        return PluginEvent(version=version, event=LifecycleEvent.NETWORK_REFUSED, reason=request.reason)


def lack_noticed(request: CapabilityRequest) -> Event:
    """Return the event that an agent lacks something."""
    return Event(
        type=EventType.CAPABILITY_REQUESTED,
        subject=request.id,
        message=f"An agent lacks a capability: {request.text[:200]}",
        at=request.requested_at,
    )


def quarantine_noticed(version: LoadedVersion, at: datetime) -> Event:
    """Return the event that a version answers no more."""
    return Event(
        type=EventType.PATTERN_DETECTED,
        subject=version.version.id,
        message=f"{version.version.id} is in quarantine: {version.reason}.",
        at=at,
    )


def _together(events: list[Event]) -> Event:
    """Return one event for several: the first, with the subjects of all."""
    first = events[0]
    more = f" (and {len(events) - 1} more)" if len(events) > 1 else ""
    return first.model_copy(
        update={"message": first.message + more, "detail": {"subjects": [event.subject for event in events]}}
    )
