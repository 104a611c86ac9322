"""Spec 4.1, rate guard - decides whether a caller is calling too fast.

Rules:
- One token bucket per caller: it holds a minute's worth of calls and refills evenly.
- A runaway agent is slowed down alone; nobody else notices it, and no experiment is decided by it.
- Callers that have been quiet are forgotten, the longest quiet first, so memory stays bounded.

Not here: who the caller is (`gateway/identity.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

MOST_CALLERS = 10_000


class RateGuard:
    """Admits calls at a limited rate.

    Args:
        per_minute: calls each caller may make in a minute, and at once after a quiet minute.
        monotonic: seconds that never run backwards.
        most_callers: how many callers are remembered.
    """

    def __init__(self, per_minute: int, monotonic: Callable[[], float], most_callers: int = MOST_CALLERS) -> None:
        self.per_minute = per_minute
        self._monotonic = monotonic
        self._most_callers = most_callers
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, caller: str) -> float | None:
        """Take one call from the caller's bucket.

        Returns:
            None when the call may go on, else the seconds after which the next one may.
        """
        now = self._monotonic()
        per_second = self.per_minute / 60
        tokens, seen = self._buckets.pop(caller, (float(self.per_minute), now))
        tokens = min(float(self.per_minute), tokens + (now - seen) * per_second)
        admitted = tokens >= 1
        self._buckets[caller] = (tokens - 1 if admitted else tokens, now)
        if len(self._buckets) > self._most_callers:
            self._buckets.popitem(last=False)
        return None if admitted else (1 - tokens) / per_second
