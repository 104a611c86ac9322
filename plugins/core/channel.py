"""Spec 3.1, the host's side of the pipe - decides what a plugin process may say and what its silence means.

Rules:
- A line is one JSON-RPC message of at most `LINE_LIMIT` bytes, in both directions; anything else that a process writes,
  NaN and Infinity included, breaks the channel, and a broken channel ends the process: what comes after cannot be
  trusted to be framed. What cannot be such a line is not sent.
- Request ids are random strings; an answer to an id that nobody waits for is counted and dropped, and so is what the
  process tells unasked, but for the progress of a call that wants to know. More of it than `STRAY_LIMIT` in
  `STRAY_SECONDS` breaks the channel.
- What the process asks of the host is served if it is offered (`host_calls.py`) and refused if not, a ping excepted: a
  plugin uses nobody's model, files or person.
- What the process writes to stderr is read and forgotten but for the last `TAIL_LIMIT` bytes.
- A plugin that does not read is not written to beyond `WRITE_LIMIT` bytes.
- When the process ends, or closes its end of either channel, every open request fails as `plugin_crash`. A process
  that goes has `EXIT_SECONDS` between the end of its answers and its own, so that its exit code can be told.

Not here: what the messages mean (`process.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable
from typing import Any, cast

import orjson

from domain.base import JsonObject
from domain.calls import ErrorKind
from plugins.core.failures import PluginFailure
from plugins.core.host_calls import HostCalls

LINE_LIMIT = 8 * 1024 * 1024
WRITE_LIMIT = 16 * 1024 * 1024
STRAY_LIMIT = 10_000
STRAY_SECONDS = 60.0
TAIL_LIMIT = 8 * 1024
DRAIN_AFTER_EXIT_SECONDS = 0.5
EXIT_SECONDS = 0.5

PROTOCOL_VERSION = "2026-07-28"
METHOD_NOT_FOUND = -32601
REQUEST_META: JsonObject = {
    "io.modelcontextprotocol/protocolVersion": PROTOCOL_VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "self-upgrading-loop", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}

Progress = Callable[[JsonObject], None]
"""Told how far a call is: `progress`, and where they are known `total` and `message`. Must not wait."""

_strictly = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
"""Not orjson, which sends NaN as null and refuses integers beyond 64 bits."""
_REFUSED = f'"error":{_strictly({"code": METHOD_NOT_FOUND, "message": "The host offers nothing."})}'


class Channel(asyncio.SubprocessProtocol):
    """The three pipes of one plugin process.

    Args:
        subject: the version, for messages.
        host_calls: what the process may ask of the host.

    Attributes:
        strays: messages nobody waited for.
        tools_changed: whether the process has told that its tools are others now.
        ended: done when the process is gone and its answers are read.
        reason: why the channel was broken, empty while it is sound.
        kill: ends the process and all it started.
    """

    def __init__(self, subject: str, host_calls: HostCalls | None = None) -> None:
        self.subject = subject
        self._host_calls = host_calls or HostCalls({})
        self.strays = 0
        self._meta, self._meta_text = REQUEST_META, _meta_text(REQUEST_META)
        self.tools_changed = False
        self.reason = ""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.kill: Callable[[], None] = self._kill_leader
        self._transport: asyncio.SubprocessTransport | None = None
        self._pending: dict[str, asyncio.Future[JsonObject]] = {}
        self._progress: dict[str, Progress] = {}
        self._recent = 0
        self._window_ends = 0.0
        self._partial = bytearray()
        self._tail = bytearray()
        self._deaf = False
        self._input_closed = False

    @property
    def in_flight(self) -> int:
        """Requests that wait for an answer."""
        return len(self._pending)

    @property
    def alive(self) -> bool:
        """Whether the process runs and its channel is sound."""
        pipe = self._transport.get_pipe_transport(0) if self._transport is not None else None
        hears = pipe is not None and (self._input_closed or not pipe.is_closing())
        return hears and self._runs

    @property
    def _runs(self) -> bool:
        """Whether nothing is known yet that ends the process."""
        running = self._transport is not None and self._transport.get_returncode() is None
        return running and not self.reason and not self._deaf and not self.ended.done()

    @property
    def stderr_tail(self) -> str:
        """The last of what the process wrote to stderr."""
        return self._tail.decode("utf-8", "replace")

    async def request(
        self, method: str, params: JsonObject, timeout: float, progress: Progress | None = None
    ) -> JsonObject:
        """Send a request and return the whole message that answers it.

        Args:
            method: of the protocol.
            params: without `_meta`.
            timeout: seconds to wait.
            progress: told how far it is, if the process says so.

        Raises:
            PluginFailure: `timeout`, `plugin_crash`, `unavailable`, or `invalid_arguments` when they are not JSON or
                too long.
        """
        identifier = secrets.token_hex(8)
        answer: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        meta = self._meta_text if progress is None else _meta_text(self._meta | {"progressToken": identifier})
        self._send(_line_of(f'"id":"{identifier}","method":"{method}"', _params_text(meta, params)))
        self._pending[identifier] = answer
        if progress is not None:
            self._progress[identifier] = progress
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            self._give_up(identifier)
            raise PluginFailure(
                ErrorKind.TIMEOUT, f"{self.subject} did not answer within {timeout:g} seconds."
            ) from None
        except asyncio.CancelledError:
            self._give_up(identifier)
            raise
        finally:
            self._pending.pop(identifier, None)
            self._progress.pop(identifier, None)
            self._host_calls.call_ended(identifier)

    def notify(self, method: str, params: JsonObject) -> None:
        """Tell the process something that it does not answer.

        Raises:
            PluginFailure: `plugin_crash` or `unavailable`.
        """
        self._send(_line_of(f'"method":"{method}"', _params_text(self._meta_text, params)))

    def drop_meta(self) -> None:
        """Send no `_meta` of our own from now on: the older generation of MCP does not want it."""
        self._meta, self._meta_text = {}, ""

    def break_off(self, reason: str) -> None:
        """End the process, because of what it does."""
        self._break(reason)

    def close_input(self) -> None:
        """Tell the process, by the end of its input, that it is to stop."""
        self._input_closed = True
        if self._transport is not None and (pipe := self._transport.get_pipe_transport(0)) is not None:
            pipe.close()

    def _give_up(self, identifier: str) -> None:
        """Tell the process that nobody waits any more; if it does not read, it need not know."""
        with contextlib.suppress(PluginFailure):
            self.notify("notifications/cancelled", {"requestId": identifier, "reason": "given up"})

    def _send(self, line: bytes) -> None:
        pipe = self._transport.get_pipe_transport(0) if self._transport is not None else None
        if pipe is None or pipe.is_closing() or not self.alive:
            raise PluginFailure(ErrorKind.PLUGIN_CRASH, self._obituary())
        writer = cast("asyncio.WriteTransport", pipe)
        if writer.get_write_buffer_size() > WRITE_LIMIT:
            raise PluginFailure(ErrorKind.UNAVAILABLE, f"{self.subject} does not read its requests.")
        writer.write(line)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the process."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Cut answers into lines; keep the tail of stderr."""
        if fd == 2:
            self._tail += data
            del self._tail[:-TAIL_LIMIT]
            return
        if self.reason:
            return
        *lines, rest = data.split(b"\n")
        for line in lines:
            if self.reason:
                return
            self._receive(bytes(self._partial) + line if self._partial else line)
            self._partial.clear()
        self._partial += rest
        if len(self._partial) > LINE_LIMIT:
            self._break(f"wrote a line of more than {LINE_LIMIT} bytes")

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Take a closed channel for the end of the process; one that goes on without it is ended."""
        del exc
        if fd == 2 or (fd == 0 and self._input_closed) or not self._runs:
            return
        self._deaf = True
        text = "closed its answer channel" if fd == 1 else "closed its request channel"
        asyncio.get_running_loop().call_later(EXIT_SECONDS, self._break_unless_ended, text)

    def process_exited(self) -> None:
        """End what the process left behind, and do not wait long for pipes that others hold open."""
        self.kill()
        asyncio.get_running_loop().call_later(DRAIN_AFTER_EXIT_SECONDS, self._end)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is still open, and let go of the process."""
        del exc
        self._end()

    def _receive(self, line: bytes) -> None:
        try:
            message = orjson.loads(line)
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            self._break("wrote a line that is not a JSON-RPC message")
            return
        identifier = message.get("id")
        answer = self._pending.get(identifier) if isinstance(identifier, str) and "method" not in message else None
        if answer is not None and not answer.done():
            answer.set_result(message)
            return
        if not self._told_progress(message) and not self._asked_host(message):
            self._stray(message)

    def _told_progress(self, message: dict[str, Any]) -> bool:
        params = message.get("params")
        if message.get("method") != "notifications/progress" or not isinstance(params, dict):
            return False
        token = params.get("progressToken")
        wanted = self._progress.get(token) if isinstance(token, str) else None
        if wanted is None or not isinstance(params.get("progress"), int | float) or not self._within_limit():
            return False
        wanted({key: params[key] for key in ("progress", "total", "message") if key in params})
        return True

    def _asked_host(self, message: dict[str, Any]) -> bool:
        method, identifier = message.get("method"), message.get("id")
        if not isinstance(method, str) or not isinstance(identifier, str) or not self._host_calls.offers(method):
            return False

        def answer(member: str, value: JsonObject) -> None:
            with contextlib.suppress(PluginFailure):
                self._send(_line_of(f'"id":{_strictly(identifier)},"{member}":{_strictly(value)}'))

        if self._within_limit():
            self._host_calls.begin(method, message.get("params"), self._pending, answer)
        return True

    def _stray(self, message: dict[str, Any]) -> None:
        """Count what nobody waits for; refuse it if it is a request."""
        self.strays += 1
        if not self._within_limit():
            return
        method, identifier = message.get("method"), message.get("id")
        if method == "notifications/tools/list_changed":
            self.tools_changed = True
        if not isinstance(method, str) or not isinstance(identifier, str | int):
            return
        with contextlib.suppress(PluginFailure):
            self._send(_line_of(f'"id":{_strictly(identifier)}', '"result":{}' if method == "ping" else _REFUSED))

    def _within_limit(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now > self._window_ends:
            self._recent, self._window_ends = 0, now + STRAY_SECONDS
        self._recent += 1
        if self._recent > STRAY_LIMIT:
            self._break(f"wrote more than {STRAY_LIMIT} messages nobody waited for")
        return self._recent <= STRAY_LIMIT

    def _break_unless_ended(self, reason: str) -> None:
        if self._transport is not None and self._transport.get_returncode() is None:
            self._break(reason)

    def _break(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._partial.clear()
        self.kill()
        self._host_calls.close()
        self._fail_pending()

    def _end(self) -> None:
        if self._transport is not None:
            self._transport.close()
        self._host_calls.close()
        if not self.ended.done():
            self.ended.set_result(None)
        self._fail_pending()

    def _fail_pending(self) -> None:
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(PluginFailure(ErrorKind.PLUGIN_CRASH, self._obituary()))

    def _obituary(self) -> str:
        if self.reason:
            return f"{self.subject} {self.reason} and was ended."
        code = self._transport.get_returncode() if self._transport is not None else None
        return f"{self.subject} has ended" + ("." if code is None else f" with exit code {code}.")

    def _kill_leader(self) -> None:
        if self._transport is not None and self._transport.get_returncode() is None:
            self._transport.kill()


def _meta_text(meta: JsonObject) -> str:
    return f'"_meta":{_strictly(meta)}'


def _params_text(meta: str, params: JsonObject) -> str:
    try:
        stated = ",".join(filter(None, (meta, _strictly(params)[1:-1])))
    except (TypeError, ValueError, RecursionError) as error:
        raise PluginFailure(ErrorKind.INVALID_ARGUMENTS, f"The arguments are not JSON: {error}.") from None
    return f'"params":{{{stated}}}'


def _line_of(*members: str) -> bytes:
    """Return a message as a line; what is the same in every message comes encoded."""
    line = f'{{"jsonrpc":"2.0",{",".join(members)}}}\n'.encode()
    if len(line) > LINE_LIMIT:
        text = f"The arguments are longer than the {LINE_LIMIT} bytes that a request may have."
        raise PluginFailure(ErrorKind.INVALID_ARGUMENTS, text)
    return line
