"""Spec 3.4, instances of one version - decides which instance answers a call, and who waits.

Rules:
- The live instance with the fewest calls answers; between choosing it and counting the call nothing is awaited.
- An instance takes at most `CALLS_PER_INSTANCE` calls at once; further ones wait, first come first served, until
  their deadline; more than `QUEUE_LIMIT` waiting calls are refused at once.
- A repeated call avoids the instance that failed it, unless no other lives; while it waits for another, first calls
  may pass it.

Not here: starting and restarting instances (`lifecycle.py`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from domain.calls import ErrorKind
from plugins.core.failures import PluginFailure
from plugins.core.process import PluginProcess

CALLS_PER_INSTANCE = 64
QUEUE_LIMIT = 1_024


@dataclass(eq=False)
class Instance:
    """One place among a version's processes; the process in it may be replaced.

    Attributes:
        calls: the deadlines of the calls it serves, oldest call first, by ticket.
    """

    process: PluginProcess
    calls: dict[object, float] = field(default_factory=dict)

    @property
    def free(self) -> bool:
        """Whether it takes another call."""
        return self.process.alive and len(self.calls) < CALLS_PER_INSTANCE

    def patience(self, ticket: object, now: float) -> float:
        """Return the seconds for which calls older than `ticket` may rightly hold the instance."""
        latest = now
        for other, deadline in self.calls.items():
            if other is ticket:
                break
            latest = max(latest, deadline)
        return latest - now


@dataclass(eq=False)
class _Waiter:
    avoid: Instance | None
    turn: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False, frozen=True)
class Lease:
    """An instance counted for one call; its own ticket."""

    instance: Instance


class Pool:
    """Lends instances to calls.

    Args:
        subject: the version, for messages.
    """

    def __init__(self, subject: str) -> None:
        self.instances: list[Instance] = []
        self._subject = subject
        self._waiting: deque[_Waiter] = deque()
        self._closed = ""

    async def borrow(self, deadline: float, avoid: Instance | None = None) -> Lease:
        """Return an instance, counted as serving one call more; give it back with `give_back`.

        Args:
            deadline: moment of the event loop's clock until which to wait for one.
            avoid: an instance to take only when no other lives.

        Raises:
            PluginFailure: `unavailable`.
        """
        queue = any(waiter.avoid is None for waiter in self._waiting)
        if not queue and (lease := self._take(deadline, avoid)) is not None:
            return lease
        return await self._wait_for_turn(deadline, avoid)

    def give_back(self, lease: Lease) -> None:
        """End a loan and let the first caller who may use the instance have its turn."""
        lease.instance.calls.pop(lease, None)
        for waiter in self._waiting:
            if not waiter.turn.is_set() and (waiter.avoid is not lease.instance or self._is_last(lease.instance)):
                waiter.turn.set()
                return

    def wake_all(self) -> None:
        """Let everyone look again; called when an instance has come or gone."""
        for waiter in self._waiting:
            waiter.turn.set()

    def close(self, reason: str) -> None:
        """Refuse everyone who waits and all who come."""
        self._closed = reason
        self.wake_all()

    def _take(self, deadline: float, avoid: Instance | None) -> Lease | None:
        if self._closed:
            raise PluginFailure(ErrorKind.UNAVAILABLE, f"{self._subject} does not answer: {self._closed}.")
        free = [one for one in self.instances if one.free and (one is not avoid or self._is_last(one))]
        if not free:
            return None
        lease = Lease(min(free, key=lambda one: len(one.calls)))
        lease.instance.calls[lease] = deadline
        return lease

    def _is_last(self, instance: Instance) -> bool:
        return not any(one.process.alive for one in self.instances if one is not instance)

    async def _wait_for_turn(self, deadline: float, avoid: Instance | None) -> Lease:
        """Stand in the queue until an instance can be taken; who looks in vain keeps its place."""
        if len(self._waiting) >= QUEUE_LIMIT:
            raise PluginFailure(ErrorKind.UNAVAILABLE, f"{self._subject} has {QUEUE_LIMIT} calls waiting already.")
        waiter = _Waiter(avoid)
        self._waiting.append(waiter)
        lease = None
        try:
            async with asyncio.timeout_at(deadline):
                while lease is None:
                    await waiter.turn.wait()
                    waiter.turn.clear()
                    lease = self._take(deadline, avoid)
        except TimeoutError:
            raise PluginFailure(ErrorKind.UNAVAILABLE, f"{self._subject} had no free instance in time.") from None
        finally:
            self._waiting.remove(waiter)
            if lease is None:  # a turn that came too late is not lost
                self.wake_all()
        return lease
