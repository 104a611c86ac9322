"""Spec 3.1, capability overview - decides which tools an agent sees, and how they are described to it.

Rules:
- First the tools of routed capabilities by name, then the four built-in ones: the same list in the same order every
  time, for the same caller and table.
- Hosts freeze the list they read first; `find_capability` and `call_capability` reach what came later.
- A tool of a capability that is being introduced is listed only for callers it is open to.
- A plugin's tool carries the hash of its definition in `_meta.definition`, so that a host can tell at once whether what
  it once approved is still what it reads.

Not here: answering them (`gateway/door.py`).
"""

from __future__ import annotations

import re
from typing import Final

from mcp_types import Tool, ToolAnnotations

from domain.base import JsonObject
from domain.contracts import SideEffects
from gateway.identity import Caller
from gateway.table import RoutedTool, Snapshot

FIND: Final = "find_capability"
CALL: Final = "call_capability"
REQUEST: Final = "request_capability"
REPORT: Final = "report_outcome"
MOST_MATCHES: Final = 10
_WORD = re.compile(r"[a-z0-9]+")


def _object(properties: JsonObject, *required: str) -> JsonObject:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


BUILT_IN: Final[tuple[Tool, ...]] = (
    Tool(
        name=FIND,
        description=(
            "Search this server's current capabilities, including ones added after your list of tools was read. "
            "Returns tool names with their input schemas, for use with call_capability."
        ),
        input_schema=_object(
            {"query": {"type": "string", "description": "What you want to do, in a few words."}}, "query"
        ),
        annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    ),
    Tool(
        name=CALL,
        description="Call a capability by the tool name that find_capability gave, also when it is not in your list.",
        input_schema=_object(
            {
                "tool": {"type": "string", "description": "Tool name, such as text__summarize."},
                "arguments": {"type": "object", "description": "Arguments that fit the tool's input schema."},
            },
            "tool",
        ),
    ),
    Tool(
        name=REQUEST,
        description=(
            "Tell the maintainers that a task could not be done because no tool can do it. Call this only after "
            "find_capability returned nothing that fits, once per missing capability, and never for a tool that "
            "exists but failed, for a question, or for progress. It does not perform the task."
        ),
        input_schema=_object(
            {
                "need": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 2000,
                    "description": "What was to be done, and what was missing.",
                }
            },
            "need",
        ),
        annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False),
    ),
    Tool(
        name=REPORT,
        description=(
            "Say how a task ended that used this server's tools: whether the person got what they wanted. "
            "Call it once at the end of a task."
        ),
        input_schema=_object(
            {
                "success": {"type": "boolean", "description": "Whether the task was done as wanted."},
                "call_id": {
                    "type": "string",
                    "description": "The call_id in the result's _meta, if one call decided it.",
                },
                "note": {"type": "string", "maxLength": 2000, "description": "What went well or wrong."},
            },
            "success",
        ),
        annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False),
    ),
)
BUILT_IN_NAMES: Final = frozenset(tool.name for tool in BUILT_IN)


def tools_for(snapshot: Snapshot, caller: Caller) -> list[Tool]:
    """Return every tool the caller sees, in order."""
    return [*(_as_tool(routed) for routed in snapshot.listed(caller)), *BUILT_IN]


def input_schema_of(snapshot: Snapshot, name: str) -> JsonObject | None:
    """Return a tool's input schema, None if there is no such tool."""
    routed = snapshot.tools.get(name)
    if routed is not None:
        return routed.shown.input_schema
    return next((tool.input_schema for tool in BUILT_IN if tool.name == name), None)


def matches(snapshot: Snapshot, caller: Caller, query: str) -> list[JsonObject]:
    """Return the tools that share words with a query, those that share most first.

    A word in the tool's name counts three times one in its description; plural and singular count as one word.
    """
    wanted = _words(query)
    scored = [(_score(wanted, routed), routed) for routed in snapshot.listed(caller)]
    found = sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: (-pair[0], pair[1].name))
    return [_described(routed) for _, routed in found[:MOST_MATCHES]]


def _as_tool(routed: RoutedTool) -> Tool:
    shown = routed.shown
    is_object = shown.output_schema.get("type") == "object"
    return Tool(
        name=routed.name,
        description=shown.description,
        input_schema={"type": "object", **shown.input_schema},
        output_schema=shown.output_schema if is_object else None,
        annotations=ToolAnnotations(
            read_only_hint=shown.side_effects is SideEffects.NONE,
            idempotent_hint=shown.side_effects is not SideEffects.UNSAFE,
        ),
        _meta={"definition": routed.definition},
    )


def _described(routed: RoutedTool) -> JsonObject:
    shown = routed.shown
    return {
        "tool": routed.name,
        "description": shown.description,
        "input_schema": shown.input_schema,
        "_meta": {"definition": routed.definition},
    }


def _score(wanted: frozenset[str], routed: RoutedTool) -> int:
    return 3 * len(wanted & _words(routed.name)) + len(wanted & _words(routed.shown.description))


def _words(text: str) -> frozenset[str]:
    return frozenset(word.removesuffix("s") for word in _WORD.findall(text.lower()))
