"""Spec 3.1, the network as a plugin sees it - decides what a method that asks for `fetch` is given.

    def price(self, *, city, fetch):
        answer = fetch("https://api.example.org/price?city=" + city)
        return {"price": answer.json()["price"]}

Rules:
- Standard library only: it runs in the plugin's process, and only in that of a plugin whose manifest names hosts.
- There is no socket here. The host is asked over the pipe, for the call that is being served.
- A method that is `async` awaits what `fetch` returns; any other is given the answer itself.
- A request that is refused raises PermissionError, one that takes too long TimeoutError, one that fails
  ConnectionError: all of them are OSError. An answer of any status is an answer.

Not here: what the host allows (`network.py`).
"""

from __future__ import annotations

import binascii
import itertools
import json
import queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

METHOD = "upgrade_loop/host.fetch"
COROUTINE_FUNCTION = 0x80
ERRORS = {"refused": PermissionError, "timeout": TimeoutError}


class Answer:
    """What came back: `status`, `headers` by lower-case name, `body` as bytes, and the `url` it came from at last."""

    def __init__(self, result: dict[str, Any]) -> None:
        self.status: int = result["status"]
        self.url: str = result["url"]
        self.headers: dict[str, str] = result["headers"]
        self.body = binascii.a2b_base64(result["body_base64"])

    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body's JSON document."""
        return json.loads(self.body)


class Fetching:
    """Asks the host, and hands its answers to those who wait.

    Args:
        send: writes a message to the host.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._numbers = itertools.count(1)
        self._waiting: dict[str, Callable[[dict[str, Any]], None]] = {}

    def bound_to(self, call: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the `fetch` of one call of a method."""

        def fetch(url: str, **more: Any) -> Answer:
            answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
            self._ask(call, wish_of(url, **more), answers.put)
            return answer_of(answers.get())

        async def fetch_async(url: str, **more: Any) -> Answer:
            import asyncio

            loop = asyncio.get_running_loop()
            answer: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

            def hand_over(message: dict[str, Any]) -> None:
                loop.call_soon_threadsafe(answer.put_nowait, message)

            self._ask(call, wish_of(url, **more), hand_over)
            return answer_of(await answer.get())

        return fetch_async if function.__code__.co_flags & COROUTINE_FUNCTION else fetch

    def answered(self, message: dict[str, Any]) -> None:
        """Hand an answer of the host to who waits for it."""
        if (hand_over := self._waiting.pop(message.get("id", ""), None)) is not None:
            hand_over(message)

    def _ask(self, call: Any, wish: dict[str, Any], hand_over: Callable[[dict[str, Any]], None]) -> None:
        identifier = f"fetch-{next(self._numbers)}"
        self._waiting[identifier] = hand_over
        self._send({"jsonrpc": "2.0", "id": identifier, "method": METHOD, "params": {"call": call, **wish}})


def wish_of(
    url: str,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | str = b"",
    timeout: float = 30.0,
) -> dict[str, Any]:
    """Return what is asked of the host."""
    raw = body.encode() if isinstance(body, str) else body
    encoded = binascii.b2a_base64(raw, newline=False).decode("ascii")
    return {
        "url": url,
        "method": method,
        "headers": headers or {},
        "body_base64": encoded,
        "timeout_seconds": timeout,
    }


def answer_of(message: dict[str, Any]) -> Answer:
    """Return the answer in a message of the host, or raise what it says instead."""
    if "result" in message:
        return Answer(message["result"])
    error = message["error"]
    raise ERRORS.get(error.get("data", {}).get("kind"), ConnectionError)(error["message"])
