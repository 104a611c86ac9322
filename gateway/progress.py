"""Spec 3.4, progress of a call - decides what an agent is told of a call that lasts.

Rules:
- An agent is told as fast as it listens; of what a plugin said meanwhile only the last is told. A plugin is never held
  up, and nothing piles up.
- Progress only grows: what would take some back is not told.
- An agent that cannot be told is not tried again, and gets its answer all the same.

Not here: what counts as progress (`plugins/core/channel.py`).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

_LOG = logging.getLogger(__name__)
Tell = Callable[[float, float | None, str | None], Awaitable[None]]


class Relay:
    """Passes on how far one call is; the block it is entered for lasts until the last word is told.

    Args:
        tell: tells the agent; may take its time.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._latest: dict[str, Any] | None = None
        self._told = -math.inf
        self._passing: asyncio.Task[None] | None = None

    def __call__(self, told: dict[str, Any]) -> None:
        """Take what the plugin says, without waiting."""
        if told["progress"] <= self._told:
            return
        self._latest, self._told = told, told["progress"]
        if self._passing is None or self._passing.done():
            self._passing = asyncio.get_running_loop().create_task(self._pass_on())

    async def __aenter__(self) -> Relay:
        """Begin."""
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for the last word, unless the call was broken off."""
        if self._passing is not None:
            if kind is not None:
                self._passing.cancel()
            await asyncio.wait([self._passing])

    async def _pass_on(self) -> None:
        try:
            while (told := self._latest) is not None:
                self._latest = None
                await self._tell(told["progress"], told.get("total"), told.get("message"))
        except Exception as error:
            self._told = math.inf
            _LOG.debug("An agent cannot be told how far its call is: %s", error)
