"""Spec 3.1, what a plugin asks of its host - decides which of its requests are served, and for how long.

Rules:
- A plugin asks while it serves a call, and says which; when that call has ended, so has everything asked for it.
- What is not offered is refused. `OPEN_LIMIT` requests of one process are served at a time, further ones wait, and more
  than `WAITING_LIMIT` of those are refused.
- When the process ends, everything it asked for ends.

Not here: the pipe (`channel.py`), the services (`network.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum

from pydantic import JsonValue

from domain.base import JsonObject

_LOG = logging.getLogger("upgrade_loop.plugins")
OPEN_LIMIT = 8
WAITING_LIMIT = 64
HOST_REFUSED = -32050

Service = Callable[[JsonObject], Awaitable[JsonObject]]
"""Does what a plugin asks for; raises `HostRefusal` when it does not."""

Answer = Callable[[str, JsonObject], None]
"""Sends `result` or `error` with its value; must not wait."""


class RefusalKind(StrEnum):
    """What the plugin may conclude from a refusal."""

    REFUSED = "refused"
    FAILED = "failed"
    TIMEOUT = "timeout"


class HostRefusal(Exception):
    """Something that the host does not do, or could not do, for a plugin."""

    def __init__(self, kind: RefusalKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message

    @property
    def error(self) -> JsonObject:
        """The JSON-RPC error that the plugin gets."""
        return {"code": HOST_REFUSED, "message": self.message, "data": {"kind": self.kind}}


class HostCalls:
    """What one plugin process has asked for.

    Args:
        services: what is offered, by method.
    """

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._services = services
        self._open = asyncio.Semaphore(OPEN_LIMIT)
        self._tasks: dict[asyncio.Task[None], str] = {}

    def offers(self, method: str) -> bool:
        """Say whether there is a service of that name."""
        return method in self._services

    def begin(self, method: str, params: JsonValue, calls: Mapping[str, object], answer: Answer) -> None:
        """Serve a request in the background.

        Args:
            method: one that is offered.
            params: as the plugin wrote them.
            calls: the ids of the calls that the plugin serves now.
            answer: sends the outcome.
        """
        call = params.get("call") if isinstance(params, dict) else None
        if not isinstance(params, dict) or not isinstance(call, str) or call not in calls:
            text = "A plugin may ask its host only for a call that it serves now, and has to name it."
            answer("error", HostRefusal(RefusalKind.REFUSED, text).error)
        elif len(self._tasks) >= OPEN_LIMIT + WAITING_LIMIT:
            text = f"{OPEN_LIMIT + WAITING_LIMIT} requests of this process are open already."
            answer("error", HostRefusal(RefusalKind.REFUSED, text).error)
        else:
            wanted = {key: value for key, value in params.items() if key not in {"call", "_meta"}}
            task = asyncio.create_task(self._serve(self._services[method], wanted, answer))
            self._tasks[task] = call
            task.add_done_callback(self._tasks.pop)

    def call_ended(self, call: str) -> None:
        """End what was asked for a call."""
        for task, its_call in self._tasks.items():
            if its_call == call:
                _end(task)

    def close(self) -> None:
        """End everything."""
        for task in self._tasks:
            _end(task)

    async def _serve(self, service: Service, params: JsonObject, answer: Answer) -> None:
        try:
            async with self._open:
                answer("result", await service(params))
        except HostRefusal as refusal:
            answer("error", refusal.error)
        except asyncio.CancelledError:
            answer("error", HostRefusal(RefusalKind.TIMEOUT, "The call that this was for has ended.").error)
            raise
        except Exception:
            _LOG.exception("A plugin's request could not be served.")
            answer("error", HostRefusal(RefusalKind.FAILED, "The host could not do it; its log says why.").error)


def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task once: a second time would disturb how it lets go of its connection."""
    if not task.cancelling():
        task.cancel()
