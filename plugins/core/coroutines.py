"""Spec 3.1, a plugin's coroutines - decides how methods that are `async` run beside each other.

Rules:
- They share one event loop, on a thread of its own; it is made when the first of them is called.
- One that is cancelled sends no answer.

Standard library only: this is loaded beside foreign code, by `runtime.py` at first need.

Not here: methods that are not `async` (`runtime.py`).
"""

from __future__ import annotations

import asyncio
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any


class Coroutines:
    """The coroutines that run.

    Args:
        answers: takes what they return (`answers.Answers`).
    """

    def __init__(self, answers: Any) -> None:
        self.answers = answers
        self.running: dict[Any, Any] = {}
        self.given_up: set[Any] = set()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="coroutines", daemon=True).start()

    def answer(self, identifier: Any, value: Awaitable[Any]) -> None:
        """Let a coroutine run beside the others; its answer is sent when it has one."""

        async def finish() -> None:
            reply: Callable[[Any, Any], None] = self.answers.reply_result
            try:
                outcome = await value
            except BaseException as error:  # SystemExit, too, would end the loop for all
                reply, outcome = self.answers.reply_failure, error
            if identifier in self.given_up:
                self.given_up.discard(identifier)
            else:
                reply(identifier, outcome)

        future = asyncio.run_coroutine_threadsafe(finish(), self.loop)
        self.running[identifier] = future
        future.add_done_callback(lambda _: self.running.pop(identifier, None))

    def finish(self, value: Any) -> None:
        """Wait for a hook."""
        asyncio.run_coroutine_threadsafe(value, self.loop).result()

    def cancel(self, identifier: Any) -> None:
        """Cancel a coroutine that runs."""
        if (future := self.running.pop(identifier, None)) is not None:
            self.given_up.add(identifier)
            future.cancel()

    def reply_when_free(self, identifier: Any, result: dict[str, Any]) -> None:
        """Send a result through the loop, so that a blocked loop is silent."""
        self.loop.call_soon_threadsafe(self.answers.reply, identifier, result)
