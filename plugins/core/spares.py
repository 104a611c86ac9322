"""Spec 3.4, warm spares - decides what stands ready for the place of an instance that dies.

Rules:
- Spares are started, proven and warm like those that serve, but later: nobody waits for a spare, and on a small machine
  a second start at the same time would take the processor from the calls that are served.
- A spare that died meanwhile is no spare. One that does not come up is tried again when the next one is needed.
- Whoever takes one sets another one off.

Not here: who takes one (`lifecycle.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from domain.errors import UpgradeLoopError
from plugins.core.loader import Loader, Program
from plugins.core.process import PluginProcess

SETTLE_SECONDS = 0.5
_LOG = logging.getLogger("upgrade_loop.plugins")


class Spares:
    """The warm spares of one version.

    Args:
        loader: starts them.
        program: what runs.
    """

    def __init__(self, loader: Loader, program: Program) -> None:
        self._loader = loader
        self._program = program
        self._wanted = program.contract.resource_requirements.spares
        self._ready: deque[PluginProcess] = deque()
        self._filling: asyncio.Task[None] | None = None

    @property
    def ready(self) -> list[PluginProcess]:
        """The spares that live."""
        return [process for process in self._ready if process.alive]

    def fill(self) -> None:
        """Start what is missing, in the background."""
        if self._wanted and (self._filling is None or self._filling.done()):
            self._filling = asyncio.create_task(self._fill())

    def take(self) -> PluginProcess | None:
        """Return a spare that lives, if there is one; it is the caller's from now on."""
        living = self.ready
        self._ready = deque(living[1:])
        self.fill()
        return living[0] if living else None

    async def close(self) -> None:
        """Put all spares down."""
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)
        await asyncio.gather(*(process.stop(0) for process in self._ready))
        self._ready.clear()

    async def _fill(self) -> None:
        await asyncio.sleep(SETTLE_SECONDS)
        while len(self.ready) < self._wanted:
            dead = [process for process in self._ready if not process.alive]
            self._ready = deque(self.ready)
            await asyncio.gather(*(process.stop(0) for process in dead))
            try:
                spare = await self._loader.start_again(self._program)
            except UpgradeLoopError as failure:
                _LOG.warning("No spare of %s: %s", self._program.package.id, failure.message)
                return
            self._ready.append(spare)
