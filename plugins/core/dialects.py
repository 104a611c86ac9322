"""Spec 3.1, generations of MCP - decides how a process is greeted, and what its tools and answers are called there.

Rules:
- The house's own runtime speaks 2026-07-28. A foreign server speaks what its contract says; `auto` greets it in the
  newer way first and in the older one, by `initialize`, when it refuses or is silent.
- Of a foreign server's tools the contract's must be there with the very schemas of the contract; what else it offers
  nobody can reach. It need not state output schemas: results are held against the contract in any case.
- A result without structured content becomes `{"text": ...}`, with `content` beside it when it is more than text.

Not here: the pipe (`channel.py`), the instance (`process.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Final

from pydantic import JsonValue

from domain.base import JsonObject
from domain.calls import ErrorKind
from domain.contracts import MethodSignature, PluginContract, WireProtocol, wire_name
from plugins.core.channel import PROTOCOL_VERSION, Channel
from plugins.core.failures import PluginFailure
from plugins.core.rounds import asked_of

LEGACY_VERSIONS: Final = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
PROBE_SECONDS: Final = 5.0
"""How long a foreign server may be silent on a greeting that it may not know."""
MOST_PAGES: Final = 50
WORDS_LIMIT: Final = 2_000
"""Characters of a plugin's own words that are told on; they end up in the ledger."""
INVALID_PARAMS: Final = -32602
HOST: Final[JsonObject] = {"name": "self-upgrading-loop", "version": "1"}


async def greet(channel: Channel, contract: PluginContract, timeout: float) -> WireProtocol:
    """Agree with a fresh process on a generation of the protocol, and return it.

    Raises:
        PluginFailure: it does not speak what it should.
    """
    wanted = contract.protocol if contract.command else WireProtocol.MODERN
    if wanted is WireProtocol.LEGACY:
        return await _initialize(channel, timeout)
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout
    patience = min(timeout, PROBE_SECONDS) if wanted is WireProtocol.AUTO else timeout
    try:
        discovered = result_of(channel, await channel.request("server/discover", {}, patience))
    except PluginFailure as failure:
        if wanted is WireProtocol.MODERN or failure.kind is ErrorKind.PLUGIN_CRASH:
            raise
        return await _initialize(channel, deadline - clock())
    supported = discovered.get("supportedVersions")
    if not isinstance(supported, list) or PROTOCOL_VERSION not in supported:
        raise PluginFailure(ErrorKind.UNAVAILABLE, f"{channel.subject} does not speak {PROTOCOL_VERSION}.")
    return WireProtocol.MODERN


async def offered_tools(channel: Channel, timeout: float) -> list[JsonObject]:
    """Return all tools that a process lists.

    Raises:
        PluginFailure: it does not list them.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout
    tools: list[JsonObject] = []
    cursor: JsonObject = {}
    for _ in range(MOST_PAGES):
        page = result_of(channel, await channel.request("tools/list", cursor, max(deadline - clock(), 0.001)))
        listed = page.get("tools")
        tools += [tool for tool in listed if isinstance(tool, dict)] if isinstance(listed, list) else []
        following = page.get("nextCursor")
        if not isinstance(following, str):
            return tools
        cursor = {"cursor": following}
    raise PluginFailure(ErrorKind.INVALID_RESULT, f"{channel.subject} lists its tools on more than {MOST_PAGES} pages.")


def differences(contract: PluginContract, offered: list[JsonObject]) -> list[str]:
    """Say in which tools the offer and the contract differ, empty when they agree."""
    promised = {
        wire_name(interface.name, method): method
        for interface in contract.provided_interfaces
        for method in interface.methods
    }
    found = {str(tool.get("name")): tool for tool in offered}
    missing = [f"{name} is missing" for name in promised.keys() - found.keys()]
    surplus = found.keys() - promised.keys() if not contract.command else set()
    extra = [f"{name} is not in the contract" for name in surplus]
    changed = [
        f"{name} has other schemas"
        for name in promised.keys() & found.keys()
        if not _same_schemas(promised[name], found[name], loosely=bool(contract.command))
    ]
    return sorted(missing + extra + changed)


def content_of(channel: Channel, contract: PluginContract, name: str, answer: JsonObject) -> JsonObject:
    """Return what a tool answered.

    Raises:
        PluginFailure: `tool_error` when it says that it failed, else `invalid_result`.
        Asked: it wants to know something of the person first.
    """
    result = result_of(channel, answer)
    if result.get("isError") is True:
        words = _text_of(result.get("content"))[:WORDS_LIMIT]
        raise PluginFailure(ErrorKind.TOOL_ERROR, words or "the method failed without a word")
    if result.get("resultType") == "input_required" and _may_ask(contract, name):
        raise asked_of(name, result)
    if result.get("resultType", "complete") != "complete":
        text = f"{name} asks for more before it answers, which its contract does not say."
        raise PluginFailure(ErrorKind.INVALID_RESULT, text)
    content = result.get("structuredContent")
    if isinstance(content, dict):
        return content
    items = result.get("content")
    if not contract.command or not isinstance(items, list):
        raise PluginFailure(ErrorKind.INVALID_RESULT, f"{name} gave no structured content.")
    plain = all(isinstance(item, dict) and item.get("type") == "text" for item in items)
    return {"text": _text_of(items)} if plain else {"text": _text_of(items), "content": items}


def result_of(channel: Channel, answer: JsonObject) -> JsonObject:
    """Return the result that an answer carries.

    Raises:
        PluginFailure: it carries an error, or nothing.
    """
    result = answer.get("result")
    if isinstance(result, dict):
        return result
    error = answer.get("error")
    code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, "no result")
    kind = ErrorKind.UNKNOWN_TOOL if code == INVALID_PARAMS else ErrorKind.INVALID_RESULT
    raise PluginFailure(kind, f"{channel.subject}: {str(message)[:WORDS_LIMIT]}.")


async def _initialize(channel: Channel, timeout: float) -> WireProtocol:
    """Greet a process in the older way."""
    channel.drop_meta()
    params: JsonObject = {"protocolVersion": LEGACY_VERSIONS[0], "capabilities": {}, "clientInfo": HOST}
    answer = result_of(channel, await channel.request("initialize", params, max(timeout, 0.001)))
    if answer.get("protocolVersion") not in LEGACY_VERSIONS:
        spoken = str(answer.get("protocolVersion"))[:40]
        raise PluginFailure(ErrorKind.UNAVAILABLE, f"{channel.subject} speaks {spoken}, which the host does not.")
    channel.notify("notifications/initialized", {})
    return WireProtocol.LEGACY


def _may_ask(contract: PluginContract, name: str) -> bool:
    methods = ((one.name, method) for one in contract.provided_interfaces for method in one.methods)
    return any(method.asks and wire_name(capability, method) == name for capability, method in methods)


def _text_of(content: JsonValue) -> str:
    items = content if isinstance(content, list) else []
    texts = [item.get("text") for item in items if isinstance(item, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _same_schemas(promised: MethodSignature, tool: JsonObject, *, loosely: bool) -> bool:
    if _digest(promised.input_schema) != _digest(tool.get("inputSchema")):
        return False
    unstated = loosely and tool.get("outputSchema") is None
    return unstated or _digest(promised.output_schema) == _digest(tool.get("outputSchema"))


def _digest(schema: JsonValue) -> str:
    return hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()
