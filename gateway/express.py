"""Spec 3.1, the express lane - decides which requests are answered without the SDK's machinery, and answers them.

Rules:
- It takes a `tools/call` of the stateless protocol whose headers and body are plainly in order, and nothing else. What
  is in doubt, wrong or rare goes on to the SDK as it came: only the SDK's word says what an error is.
- An answer from here is the SDK's own, field for field; a test asks both.
- A call is taken in by one pass of the event loop and leaves by another; no task is made for it.
- A caller who hangs up while a call lasts cancels it.

Not here: the answer itself (`gateway/door.py`); sessions, lists and streams (the SDK, behind `gateway/app.py`).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson
from mcp_types import PROTOCOL_VERSION_META_KEY, SERVER_INFO_META_KEY
from mcp_types import methods as protocol
from pydantic import ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.base import JsonObject
from domain.errors import PermissionDenied
from gateway.calls import Answer
from gateway.door import Door
from gateway.identity import SESSION_HEADER, USER_HEADER
from gateway.in_flight import InFlight

VERSION: Final = "2026-07-28"
METHOD: Final = "tools/call"
LONGEST_BODY: Final = 1024 * 1024
"""Bytes; a longer body is rare enough to leave to the SDK, which has a limit of its own."""
LARGEST_ID: Final = 2**53
REMEMBERED: Final = 256
"""Different `_meta` of which is remembered whether they are in order."""
LOOK_AFTER_SECONDS: Final = 0.05
"""A call that has ended by then is not worth looking whether its caller is still there."""

_METHOD, _VERSION = METHOD.encode(), VERSION.encode()
_PATH = re.compile(r"(?:/agents/(?P<agent>[^/]+))?/mcp")
_ACCEPTED = frozenset({b"application/json, text/event-stream", b"text/event-stream, application/json"})
_RARE = frozenset({b"origin", b"transfer-encoding", SESSION_HEADER.encode()})
_IDENTITY = ("authorization", USER_HEADER)
_MESSAGE = frozenset({"jsonrpc", "id", "method", "params"})
_PARAMS = frozenset({"name", "arguments", "_meta"})


@dataclass(frozen=True)
class Call:
    """A request that is plainly in order."""

    request_id: str | int
    name: str
    arguments: JsonObject
    meta: JsonObject


class Express:
    """The door as an ASGI application: the express lane, and the rest behind it.

    Args:
        door: answers calls, and knows callers.
        names: the host names under which the door may be asked.
        posts: counts the requests being answered.

    Attributes:
        rest: serves every request that is not taken here.
    """

    def __init__(self, door: Door, names: frozenset[str], posts: InFlight, rest: ASGIApp) -> None:
        self._door = door
        self._names = frozenset(name.encode() for name in names)
        self._posts = posts
        self.rest = rest
        self._stamp = orjson.Fragment(orjson.dumps(door.server.server_info_stamp))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        headers = _headers_of(scope) if path is not None else None
        if path is None or headers is None or not self._in_order(headers):
            await self.rest(scope, receive, send)
            return
        with self._posts.counted():
            message = await receive()
            call = _call_of(message, headers[b"mcp-name"].decode("latin-1"))
            if call is None or self._door.takes_its_time(call.name, call.arguments):
                await self.rest(scope, replayed([message], receive), send)
                return
            try:
                caller = self._door.identities.identify(_told(headers), path["agent"] or "", call.meta)
            except PermissionDenied:
                await self.rest(scope, replayed([message], receive), send)
                return
            answer = await _unless_gone(self._door.answer(caller, call.name, call.arguments), receive)
            if answer is not None:
                await _reply(self._written(call.request_id, answer), send)

    def _in_order(self, headers: Mapping[bytes, bytes]) -> bool:
        """Say whether the headers leave no doubt about what the body is and whether it may be read."""
        name, _, port = headers.get(b"host", b"").rpartition(b":")
        length = headers.get(b"content-length", b"")
        return (
            headers.get(b"mcp-method") == _METHOD
            and headers.get(b"mcp-protocol-version") == _VERSION
            and headers.get(b"content-type") == b"application/json"
            and headers.get(b"accept") in _ACCEPTED
            and b"mcp-name" in headers
            and name in self._names
            and port.isdigit()
            and length.isdigit()
            and int(length) <= LONGEST_BODY
            and _RARE.isdisjoint(headers)
            and not any(map(_repeats_argument, headers))
        )

    def _written(self, request_id: str | int, answer: Answer) -> bytes:
        """Return the body that carries an answer, as the SDK writes it."""
        meta: dict[str, Any] = {"call_id": answer.call_id, SERVER_INFO_META_KEY: self._stamp}
        result: dict[str, Any] = {"_meta": meta, "resultType": "complete"}
        if answer.failed:
            meta["error"] = answer.kind
            result |= {"isError": True, "content": [{"type": "text", "text": answer.sentence}]}
        else:
            text = orjson.dumps(answer.result)
            result |= {"isError": False, "content": [{"type": "text", "text": text.decode()}]}
            result["structuredContent"] = orjson.Fragment(text)
        return orjson.dumps({"jsonrpc": "2.0", "id": request_id, "result": result})


def replayed(kept: list[Message], receive: Receive) -> Receive:
    """Return a `receive` that first gives what has been received already."""
    waiting = iter(kept)

    async def receiving() -> Message:
        return next(waiting, None) or await receive()

    return receiving


def _headers_of(scope: Scope) -> dict[bytes, bytes] | None:
    """Return the headers, None when one of them is there twice."""
    headers = dict(scope["headers"])
    return headers if len(headers) == len(scope["headers"]) else None


def _repeats_argument(header: bytes) -> bool:
    return header.startswith(b"mcp-param-")


def _told(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return what the headers tell of who calls."""
    return {name: headers[name.encode()].decode("latin-1") for name in _IDENTITY if name.encode() in headers}


def _call_of(message: Message, name: str) -> Call | None:
    """Return the call that a whole body plainly is, None when there is any doubt."""
    body = _body_of(message)
    if body is None or body.keys() != _MESSAGE or (body["jsonrpc"], body["method"]) != ("2.0", METHOD):
        return None
    params = body["params"]
    if not _is_plain_id(body["id"]) or not _is_plain_request(params, name):
        return None
    return Call(body["id"], name, params.get("arguments", {}), params["_meta"])


def _body_of(message: Message) -> dict[str, Any] | None:
    """Return the object that a whole body holds.

    Not orjson, to which an integer beyond 64 bits is a float.
    """
    if message["type"] != "http.request" or message.get("more_body", False):
        return None
    try:
        body = json.loads(message["body"])
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _is_plain_request(params: Any, name: str) -> bool:
    """Say whether the parameters ask for the tool that the headers name, and the SDK would take them."""
    if not isinstance(params, dict) or not params.keys() <= _PARAMS or params.get("name") != name:
        return False
    meta = params.get("_meta")
    if not isinstance(meta, dict) or meta.get(PROTOCOL_VERSION_META_KEY) != VERSION:
        return False
    if not isinstance(params.get("arguments", {}), dict) or not name.isascii() or name.startswith("=?"):
        return False
    return _is_known_meta(orjson.dumps(meta))


@lru_cache(REMEMBERED)
def _is_known_meta(meta: bytes) -> bool:
    """Say whether the SDK would take a request with this `_meta`; a client sends the same with every call."""
    try:
        protocol.validate_client_request(METHOD, VERSION, {"name": "any", "_meta": json.loads(meta)})
    except (ValidationError, ValueError):
        return False
    return True


def _is_plain_id(value: object) -> bool:
    if isinstance(value, str):
        return value.isprintable()
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST_ID


async def _unless_gone(call: Coroutine[Any, Any, Answer], receive: Receive) -> Answer | None:
    """Return the answer of a call, None when the caller hung up before there was one, which ends the call."""
    loop = asyncio.get_running_loop()
    watchers: list[asyncio.Task[None]] = []
    try:
        async with asyncio.timeout(None) as line:
            look = loop.call_later(LOOK_AFTER_SECONDS, lambda: watchers.append(loop.create_task(_watch(receive, line))))
            try:
                return await call
            finally:
                look.cancel()
                for watcher in watchers:
                    watcher.cancel()
    except TimeoutError:
        if not line.expired():
            raise
        return None


async def _watch(receive: Receive, line: asyncio.Timeout) -> None:
    """Cut the line when the caller has hung up."""
    while (await receive())["type"] != "http.disconnect":
        continue
    line.reschedule(asyncio.get_running_loop().time())


async def _reply(body: bytes, send: Send) -> None:
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
