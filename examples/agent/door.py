"""How the example agent's users reach the door: MCP over streamable HTTP, by two clients.

Rules:
- A call never raises: its answer says ok, lacking (no such tool, or not enabled for this user) or failed, and why.
- A broken connection, or a session that the server has forgotten, is made anew once; the answer says so. Every method
  the users call may be repeated.
- `PlainDoor` speaks the 2026-07-28 protocol in plain HTTP and costs little; `SdkDoor` is the official client, which
  also speaks the older protocol with sessions.

Not here: who calls what (`users.py`).
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CONNECTION_CLOSED, INVALID_REQUEST, CallToolResult

from examples.agent.wire import Response, Wire

PROTOCOL = "2026-07-28"
USER_HEADER = "X-Upgrade-Loop-User"
CALL_TIMEOUT = 30.0
_LACKING = frozenset({"unknown_tool", "not_enabled"})
_LACKING_WORDS = ("unknown tool", "no tool", "not yet enabled", "not enabled")


class Kind(StrEnum):
    """How a call ended for the user."""

    OK = "ok"
    LACKING = "lacking"
    FAILED = "failed"


@dataclass(frozen=True)
class Answer:
    """What came back: the structured result when ok, else the kind of failure and its text."""

    kind: Kind
    result: dict[str, Any] | None = None
    failure: str = ""
    text: str = ""
    retried: bool = False


@dataclass(frozen=True)
class Tool:
    """A tool as `tools/list` shows it."""

    name: str
    input_schema: dict[str, Any]


class Door(Protocol):
    """One user's way to the tools."""

    async def open(self) -> None:
        """Connect."""

    async def tools(self) -> dict[str, Tool]:
        """List the tools by name; an OSError or a LookupError when that cannot be had."""

    async def call(self, tool: str, arguments: dict[str, Any]) -> Answer:
        """Call a tool."""

    async def close(self) -> None:
        """Disconnect."""


class PlainDoor:
    """The 2026-07-28 protocol in plain HTTP."""

    def __init__(self, url: str, user: str) -> None:
        self._url = url
        self._user = user
        self._wire = Wire(url, CALL_TIMEOUT)
        self._last_id = 0

    async def open(self) -> None:
        """Find out whether anybody answers; the protocol has no handshake."""
        await self.tools()

    async def tools(self) -> dict[str, Tool]:
        """List the tools by name."""
        reply = await self._send("tools/list", {}, "")
        return {tool["name"]: Tool(tool["name"], tool["inputSchema"]) for tool in reply["result"]["tools"]}

    async def call(self, tool: str, arguments: dict[str, Any]) -> Answer:
        """Call a tool, over a second connection when the first one breaks."""
        for retried in (False, True):
            try:
                reply = await self._send("tools/call", {"name": tool, "arguments": arguments}, tool)
            except OSError as error:
                trouble = f"{type(error).__name__}: {error}"
            except (ValueError, LookupError) as error:
                return Answer(Kind.FAILED, failure="malformed", text=f"{type(error).__name__}: {error}"[:200])
            else:
                return _read_reply(reply, retried=retried)
        return Answer(Kind.FAILED, failure="connection", text=trouble, retried=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    async def _send(self, method: str, params: dict[str, Any], name: str) -> dict[str, Any]:
        self._last_id += 1
        meta = {
            "io.modelcontextprotocol/protocolVersion": PROTOCOL,
            "io.modelcontextprotocol/clientInfo": {"name": "desk-agent", "version": "1.0.0"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        body = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": {**params, "_meta": meta}}
        headers = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "MCP-Protocol-Version": PROTOCOL,
            "Mcp-Method": method,
            USER_HEADER: self._user,
            **({"Mcp-Name": name} if name else {}),
        }
        return _last_message(await self._wire.post(json.dumps(body).encode(), headers))


class SdkDoor:
    """The official MCP client; it is entered and left in one task, as its cancel scopes demand."""

    def __init__(self, url: str, user: str, mode: str = "auto") -> None:
        self._url = url
        self._user = user
        self._mode = mode
        self._client: Client | None = None
        self._holder: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def open(self) -> None:
        """Connect and agree on a protocol version."""
        ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._holder = asyncio.create_task(self._hold(ready, self._closing))
        waited: set[asyncio.Future[Any]] = {ready, self._holder}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await self._holder
        self._client = await ready

    async def tools(self) -> dict[str, Tool]:
        """List the tools by name."""
        try:
            listed = await self._connected().list_tools()
        except MCPError as error:
            raise ConnectionError(f"{self._user}: {error.message}") from error
        return {tool.name: Tool(tool.name, tool.input_schema) for tool in listed.tools}

    async def call(self, tool: str, arguments: dict[str, Any]) -> Answer:
        """Call a tool, over a second connection when the first one breaks."""
        for retried in (False, True):
            try:
                result = await self._connected().call_tool(tool, arguments)
            except Exception as error:
                if isinstance(error, MCPError) and not _is_lost(error):
                    return _read_error({"message": error.message, "data": error.data}, retried=retried)
                trouble = f"{type(error).__name__}: {error}"
                with suppress(Exception):
                    await self.close()
                    await self.open()
            else:
                return _read_result(_plain(result), retried=retried)
        return Answer(Kind.FAILED, failure="connection", text=trouble, retried=True)

    async def close(self) -> None:
        """Disconnect."""
        self._closing.set()
        if self._holder is not None:
            with suppress(Exception):
                await self._holder
        self._client = self._holder = None

    async def _hold(self, ready: asyncio.Future[Client], closing: asyncio.Event) -> None:
        timeout = httpx2.Timeout(CALL_TIMEOUT)
        async with httpx2.AsyncClient(headers={USER_HEADER: self._user}, timeout=timeout) as http:
            transport = streamable_http_client(self._url, http_client=http)
            async with Client(transport, mode=self._mode, cache=None, read_timeout_seconds=CALL_TIMEOUT) as client:
                ready.set_result(client)
                await closing.wait()

    def _connected(self) -> Client:
        if self._client is None:
            raise ConnectionError(f"{self._user} is not connected to {self._url}")
        return self._client


def agent_url(door_url: str, agent: str) -> str:
    """Return the address of an agent at a door, given the door's own address with or without `/mcp`."""
    return f"{door_url.rstrip('/').removesuffix('/mcp')}/agents/{agent}/mcp"


def _is_lost(error: MCPError) -> bool:
    """Say whether the client has no connection any more, or the server does not know its session."""
    return error.code == CONNECTION_CLOSED or (error.code == INVALID_REQUEST and "session" in error.message.casefold())


def _last_message(response: Response) -> dict[str, Any]:
    """Read a JSON-RPC answer, the last one of an event stream, or the refusal of the HTTP server itself."""
    text = response.body.decode()
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        text = [line.removeprefix("data:") for line in text.splitlines() if line.startswith("data:")][-1]
    if "jsonrpc" not in text:
        return {"error": {"message": text, "data": {"kind": f"http_{response.status}"}}}
    return dict(json.loads(text))


def _plain(result: CallToolResult) -> dict[str, Any]:
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


def _read_reply(reply: dict[str, Any], *, retried: bool) -> Answer:
    if "error" in reply:
        return _read_error(reply["error"], retried=retried)
    return _read_result(reply["result"], retried=retried)


def _read_result(result: dict[str, Any], *, retried: bool) -> Answer:
    text = " ".join(part.get("text", "") for part in result.get("content", ()))
    structured = result.get("structuredContent")
    if not result.get("isError"):
        return Answer(Kind.OK, result=structured if structured is not None else {"text": text}, retried=retried)
    return _failure(_error_kind(structured) or _error_kind(result.get("_meta")), text, retried=retried)


def _read_error(error: dict[str, Any], *, retried: bool) -> Answer:
    return _failure(_error_kind(error.get("data")), str(error.get("message", "")), retried=retried)


def _error_kind(data: Any) -> str:
    """Find the kind of error in `{"error": {"kind": ...}}` or `{"kind": ...}`, under the names that doors use."""
    if not isinstance(data, dict):
        return ""
    inner = data.get("error")
    inner = inner if isinstance(inner, dict) else data
    return next((str(inner[name]) for name in ("kind", "code", "error") if isinstance(inner.get(name), str)), "")


def _failure(kind: str, text: str, *, retried: bool) -> Answer:
    lacking = kind in _LACKING or (not kind and any(words in text.casefold() for words in _LACKING_WORDS))
    return Answer(Kind.LACKING if lacking else Kind.FAILED, failure=kind or "error", text=text[:200], retried=retried)
