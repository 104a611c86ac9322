"""Plugin packages, homes and running gateways for the gateway's tests: real processes, real stores, real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from typing import Any
from urllib.parse import urlsplit

import orjson
from sqlmodel import Session, col, create_engine, select

from config.home import Home
from config.settings import GatewaySettings, SecuritySettings, Settings
from domain.calls import CallRecord, CapabilityRequest, OutcomeReport
from domain.routing import PluginVersion, Route
from domain.versions import SemanticVersion
from gateway.admin_client import AdminClient, GatewayAddress
from gateway.main import run_gateway
from gateway.service import Outside
from plugins.core.packages import PackageStore
from store.database import open_store
from store.tables import CallRow

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
SCHEMA_IN = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}
SCHEMA_OUT = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "by": {"type": "string"}},
    "required": ["answer", "by"],
}
GOOD = 'return {"answer": text.upper(), "by": VERSION}'
SLOW = "import time; time.sleep(float(text)); " + GOOD
BROKEN = 'raise ValueError("cannot do it: " + text)'
DEADLY = "import os; os._exit(3)"


def write_plugin(
    folder: Path,
    version: str,
    *,
    body: str = GOOD,
    head: str = "",
    capability: str = "text",
    takes: str = "",
    resources: Mapping[str, int] | None = None,
    profile: Mapping[str, Any] | None = None,
    **method: Any,
) -> Path:
    """Write a plugin with one method `shout`.

    Args:
        body: what the method does; it may use `text` and `VERSION`.
        head: what the module does before.
        takes: what the method takes by keyword beside `text`, as it stands in its head.
        resources: its resource requirements, where they are not the usual ones.
        profile: its security profile.
        method: fields of the method in the manifest that are not the usual ones.
    """
    name = f"{capability}_plugin"
    shout = {
        "name": "shout",
        "description": "Say a text in capital letters.",
        "side_effects": "none",
        "input_schema": SCHEMA_IN,
        "output_schema": SCHEMA_OUT,
        "timeout_seconds": 5,
        **method,
    }
    manifest = {
        "name": name,
        "version": version,
        "description": "Shouts.",
        "resource_requirements": dict(resources or {}),
        "security_profile": dict(profile or {}),
        "provided_interfaces": [{"name": capability, "version": "1.0.0", "methods": [shout]}],
    }
    source = (
        f"VERSION = {version!r}\n{head}\n\nclass Tools:\n    def shout(self, text{takes}):\n        {body}\n\n\n"
        f"capabilities = {{{capability!r}: Tools()}}\n"
    )
    target = folder / f"{name}-{version}"
    target.mkdir(parents=True)
    (target / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (target / "plugin.py").write_text(source, encoding="utf-8")
    return target


@dataclass
class House:
    """A home with packages in it, and the gateway that serves it."""

    home: Home
    settings: Settings

    def install(self, version: str, **options: Any) -> PluginVersion:
        """Put a plugin of `write_plugin` into the home's packages."""
        folder = write_plugin(self.home.root / "sources", version, **options)
        package = PackageStore(self.home.packages).add(folder)
        return PluginVersion(plugin=package.contract.name, version=SemanticVersion(version), digest=package.digest)

    @asynccontextmanager
    async def running(
        self, *, sockets: Sequence[socket] = (), outside: Outside | None = None
    ) -> AsyncIterator[Running]:
        """Serve the home while the block runs."""
        stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
        outside = outside or Outside()
        outside = Outside(outside.listener, outside.metrics, ready.set_result, outside.open_store)
        task = asyncio.create_task(run_gateway(self.home, self.settings, sockets=sockets, outside=outside, stop=stop))
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        try:
            async with AdminClient.of(self.home) as admin:
                yield Running(self.home, ready.result(), admin)
        finally:
            stop.set()
            await task


@dataclass(frozen=True)
class Running:
    """A gateway that serves."""

    home: Home
    address: GatewayAddress
    admin: AdminClient

    @property
    def door(self) -> str:
        """URL of the MCP endpoint."""
        return self.address.door

    @property
    def base(self) -> str:
        """URL of the door without a path."""
        return self.door.removesuffix("/mcp")


def house(root: Path, **gateway: Any) -> House:
    """Return a new home with settings for tests: quick flushes, short drains."""
    quick: dict[str, Any] = {"ledger_flush_seconds": 0.05, "drain_seconds": 5, "calls_per_minute_per_caller": 1_000_000}
    settings = Settings(
        gateway=GatewaySettings(**{**quick, **gateway}),
        security=SecuritySettings(write_paths=(root,), trusted=("text_plugin",)),
    )
    return House(Home(root / "home").create(), settings)


def route(control: PluginVersion | None = None, candidate: PluginVersion | None = None, **fields: Any) -> Route:
    """Return a route of the capability `text`."""
    return Route(**{"capability": "text", "control": control, "candidate": candidate, **fields})


async def swap(running: Running, versions: Sequence[PluginVersion], times: int) -> None:
    """Let one version after the other be the control."""
    for turn in range(times):
        await running.admin.set_route(route(versions[turn % len(versions)]))


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Agent:
    """A thin client of the stateless protocol; connections are kept, and cheap enough to make load with.

    Args:
        url: of the MCP endpoint.
        headers: sent with every request, the agent's identity for example.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self._url = urlsplit(url)
        self._headers = dict(headers or {})
        self._idle: list[Connection] = []

    async def __aenter__(self) -> Agent:
        return self

    async def __aexit__(self, *_: object) -> None:
        for _reader, writer in self._idle:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def post(self, method: str, params: Mapping[str, Any], name: str = "") -> tuple[int, dict[str, Any]]:
        """Post one request and return status and body of the HTTP answer."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            **params.get("_meta", {}),
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
        headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, **({"Mcp-Name": name} if name else {})}
        return await self.exchange(orjson.dumps(body), headers)

    async def exchange(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Send a body and return status and body of the HTTP answer, over a connection that nobody else uses."""
        reader, writer = self._idle.pop() if self._idle else await self._connected()
        try:
            writer.write(self._request(body, headers))
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            answer = await reader.readexactly(length)
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return int(head.split(" ", 2)[1]), orjson.loads(answer)

    async def _connected(self) -> Connection:
        return await asyncio.open_connection(self._url.hostname, self._url.port)

    def _request(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        lines = {
            "Host": self._url.netloc,
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **self._headers,
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST {self._url.path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body

    async def call(self, name: str, arguments: Mapping[str, Any], **meta: Any) -> dict[str, Any]:
        """Call a tool and return its result as it came."""
        status, body = await self.post("tools/call", {"name": name, "arguments": arguments, "_meta": meta}, name)
        assert status == 200, body
        result: dict[str, Any] = body["result"]
        return result

    async def shout(self, text: str = "hello") -> str:
        """Call `text__shout` and return which version answered, or the kind of the error."""
        result = await self.call("text__shout", {"text": text})
        return str(result["_meta"]["error"] if result.get("isError") else result["structuredContent"]["by"])

    async def tools(self) -> list[str]:
        """Return the names of the tools it sees."""
        _, body = await self.post("tools/list", {})
        return [tool["name"] for tool in body["result"]["tools"]]


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 10) -> None:
    """Wait until something is so; fail when it does not become so."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        answer = condition()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Stored:
    """What a home's store holds."""

    calls: list[CallRecord]
    requests: list[CapabilityRequest]
    outcomes: list[OutcomeReport]

    @property
    def final(self) -> list[CallRecord]:
        """The records whose answers callers saw."""
        return [record for record in self.calls if record.final]


def stored(home: Home) -> Stored:
    """Read what a home's store holds now, each attempt as it was written."""
    store = open_store(home.database_url)
    try:
        return Stored(_calls_of(home), store.requests.since(LONG_AGO), store.outcomes.since(LONG_AGO))
    finally:
        store.close()


def _calls_of(home: Home) -> list[CallRecord]:
    engine = create_engine(home.database_url)
    try:
        with Session(engine) as session:
            rows = session.exec(select(CallRow).order_by(col(CallRow.position))).all()
            return [CallRecord.model_validate(row.model_dump(exclude={"position"})) for row in rows]
    finally:
        engine.dispose()
