"""Spec 8.1, safety - decides when everything that was begun has ended.

Not here: how long anybody waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator


class InFlight:
    """Counts what is going on.

    Attributes:
        count: how much of it there is now.
    """

    def __init__(self) -> None:
        self.count = 0
        self._none = asyncio.Event()
        self._none.set()

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count the block as going on."""
        self.count += 1
        self._none.clear()
        try:
            yield
        finally:
            self.count -= 1
            if not self.count:
                self._none.set()

    async def idle(self) -> None:
        """Wait until nothing is going on."""
        await self._none.wait()
