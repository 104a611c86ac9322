"""Spec 10.2, event triggers - decides how often a lack that agents notice may start a cycle.

Rules:
- The first lack is told at once; those of the following pause are told together, at its end.
- A listener that fails does not concern the agent, nor the next notice.

Not here: what a notice starts (`worker/`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from domain.calls import CapabilityRequest
from domain.events import Event, EventType

_LOG = logging.getLogger(__name__)

Listener = Callable[[Event], Awaitable[None]]
"""Told of an event; what it raises is logged and goes no further."""


class RequestNotices:
    """Tells a listener that agents lack something, at a bounded rate.

    Args:
        listener: told; nobody is when None.
        pause_seconds: least time between two notices.
        monotonic: seconds that never run backwards.
    """

    def __init__(self, listener: Listener | None, pause_seconds: float, monotonic: Callable[[], float]) -> None:
        self._listener = listener
        self._pause = pause_seconds
        self._monotonic = monotonic
        self._next_at = float("-inf")
        self._waiting: list[CapabilityRequest] = []
        self._task: asyncio.Task[None] | None = None

    def requested(self, request: CapabilityRequest) -> None:
        """Take note of a lack; never waits."""
        if self._listener is None:
            return
        self._waiting.append(request)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._tell(self._listener))

    async def close(self) -> None:
        """Stop telling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _tell(self, listener: Listener) -> None:
        while self._waiting:
            await asyncio.sleep(max(0.0, self._next_at - self._monotonic()))
            told, self._waiting = self._waiting, []
            self._next_at = self._monotonic() + self._pause
            try:
                await listener(_notice(told))
            except Exception:
                _LOG.exception("The notice of %d capability requests was not taken.", len(told))


def _notice(told: list[CapabilityRequest]) -> Event:
    first = told[0]
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    return Event(
        type=EventType.CAPABILITY_REQUESTED,
        subject=first.id,
        message=f"An agent lacks a capability: {first.text[:200]}{more}",
        at=first.requested_at,
        detail={"requests": [request.id for request in told]},
    )
