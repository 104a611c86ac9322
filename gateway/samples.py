"""Spec 4.2, paired replay - decides which calls' arguments are kept, and keeps arguments out of everything else.

Rules:
- Only methods without side effects are sampled, and only calls that succeeded.
- A method's first calls are all kept, later ones at most one every `pause_seconds`: the ledger keeps the newest few,
  and a busy method must not fill it with copies.

Not here: how many samples the store keeps (`store/`), replaying them (`activities/performance.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import JsonValue

from domain.base import JsonObject
from domain.calls import ReplaySample

LONGEST_MESSAGE = 200
_SHORTEST_SECRET = 4


class SampleSieve:
    """Chooses the calls whose arguments are worth keeping.

    Args:
        keep: how many samples of a method are wanted; 0 for none at all.
        pause_seconds: time between two samples once a method has that many.
    """

    def __init__(self, keep: int, pause_seconds: float = 1.0) -> None:
        self._keep = keep
        self._pause = timedelta(seconds=pause_seconds)
        self._taken: dict[tuple[str, str], tuple[int, datetime]] = {}

    def take(self, capability: str, method: str, arguments: JsonObject, at: datetime) -> ReplaySample | None:
        """Return the call as a sample if it is wanted."""
        count, last = self._taken.get((capability, method), (0, at))
        if self._keep == 0 or (count >= self._keep and at - last < self._pause):
            return None
        self._taken[capability, method] = (count + 1, at)
        return ReplaySample(capability=capability, method=method, arguments=arguments, recorded_at=at)


def without_arguments(message: str, arguments: JsonObject) -> str:
    """Return a failure's message, cut to what the ledger takes, with every argument's text struck out."""
    for text in sorted(_texts(arguments), key=len, reverse=True) if message else ():
        message = message.replace(text, "[argument]")
    return message[:LONGEST_MESSAGE]


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str) and len(value) >= _SHORTEST_SECRET:
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
