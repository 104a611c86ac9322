"""Spec 3.1, capability interface - decides how MCP's requests reach the call path and its answers get back.

Rules:
- A failed call is a tool result that says so, in one sentence, with `_meta.call_id` and `_meta.error`; only a fault of
  the protocol is a protocol error.
- A result is given as text and as structured content.
- A question of a plugin reaches the person as each generation has it: as a result that asks for another round, or as a
  request within the session. It says which tool asks. An agent that cannot ask is told so, and the call fails.
- When the tools that agents see change, both protocol generations are told: sessions by notification, the stateless
  protocol on its listening streams.

Not here: HTTP (`gateway/app.py`), who answers (`gateway/calls.py`), the list itself (`gateway/tools.py`).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import anyio
import orjson
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
)
from pydantic import Field, ValidationError
from starlette.requests import Request

from domain.base import JsonObject, Model
from domain.calls import ErrorKind, OutcomeReport, RequestKind
from gateway import tools
from gateway.calls import ALONE, Answer, CallPath
from gateway.identity import Caller, Identities
from gateway.progress import Relay
from gateway.rounds import Extras
from plugins.core.rounds import Asked

_LOG = logging.getLogger(__name__)
LIST_FRESH_FOR_MS: Final = 5_000
MOST_SESSIONS: Final = 10_000
NOTIFY_SECONDS: Final = 2.0
STATELESS: Final = "2026-07-28"
INSTRUCTIONS: Final = (
    "Tools here improve while you work: use find_capability when your list has nothing that fits. "
    "When nothing fits at all, say so once with request_capability."
)


class FindArguments(Model):
    """Arguments of `find_capability`."""

    query: str


class CallArguments(Model):
    """Arguments of `call_capability`."""

    tool: str
    arguments: JsonObject = Field(default_factory=dict)


class RequestArguments(Model):
    """Arguments of `request_capability`."""

    need: str = Field(min_length=1, max_length=2_000)


class ReportArguments(Model):
    """Arguments of `report_outcome`."""

    success: bool
    call_id: str | None = None
    note: str = Field(default="", max_length=2_000)


class DoorServer(Server[dict[str, Any]]):
    """The SDK's server, which announces to sessions that the tool list may change."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """Return the SDK's options with `tools.listChanged` set."""
        options = notification_options or NotificationOptions(tools_changed=True)
        return super().create_initialization_options(options, experimental_capabilities, extensions)


class Door:
    """The MCP server in front of the call path.

    Args:
        path: answers calls.
        identities: tells callers apart.
        version: of the product, told to agents.

    Attributes:
        identities: tells callers apart.
        server: speaks MCP for it.
    """

    def __init__(self, path: CallPath, identities: Identities, version: str) -> None:
        self._path = path
        self.identities = identities
        self._sessions: OrderedDict[str, ServerSession] = OrderedDict()
        self._bus = InMemorySubscriptionBus()
        self._listening = ListenHandler(self._bus)
        self._built_in: Mapping[str, Callable[[Caller, JsonObject], Awaitable[Answer]]] = {
            tools.FIND: self._find,
            tools.REQUEST: self._request,
            tools.REPORT: self._report,
        }
        self.server = DoorServer(
            "upgrade-loop",
            version=version,
            instructions=INSTRUCTIONS,
            get_tool_input_schema=lambda name: tools.input_schema_of(path.ways.table.now, name),
            on_list_tools=self._on_list_tools,
            on_call_tool=self._on_call_tool,
            on_subscriptions_listen=self._listening,
        )

    async def answer(self, caller: Caller, name: str, arguments: JsonObject, extras: Extras = ALONE) -> Answer:
        """Answer one round of a call of a tool, built-in or a plugin's."""
        try:
            if name == tools.CALL:
                wanted = CallArguments.model_validate(arguments)
                name, arguments = wanted.tool, wanted.arguments
            built_in = self._built_in.get(name)
            return await (built_in(caller, arguments) if built_in else self._path.call(caller, name, arguments, extras))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            message = f"The arguments of {name} do not fit: {where}: {first['msg']}."
            return self._said(ErrorKind.INVALID_ARGUMENTS, message)

    def takes_its_time(self, name: str, arguments: JsonObject) -> bool:
        """Say whether a call needs the SDK: to tell of progress, to ask, to compare arguments repeated in headers."""
        called = arguments.get("tool") if name == tools.CALL else name
        tool = self._path.ways.table.now.tools.get(called) if isinstance(called, str) else None
        return tool is not None and (tool.converses or tool.mirrors_arguments)

    async def tell_tools_changed(self) -> None:
        """Tell every session and every listening stream that the list of tools is another."""
        await self._bus.publish(ToolsListChanged())
        async with anyio.create_task_group() as group:
            for session_id, session in list(self._sessions.items()):
                group.start_soon(self._tell, session_id, session)

    def close_streams(self) -> None:
        """End the listening streams, so that the server can stop."""
        self._listening.close()

    async def _tell(self, session_id: str, session: ServerSession) -> None:
        told = False
        with anyio.move_on_after(NOTIFY_SECONDS):
            try:
                await session.send_tool_list_changed()
                told = True
            except Exception as error:
                _LOG.debug("Session %s is gone: %s", session_id, error)
        if not told:
            self._sessions.pop(session_id, None)

    async def _on_list_tools(
        self, context: ServerRequestContext[Any, Any], _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        caller = self._caller(context)
        if caller.session is not None:
            self._sessions[caller.session] = context.session
            self._sessions.move_to_end(caller.session)
            if len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)
        listed = tools.tools_for(self._path.ways.table.now, caller)
        return ListToolsResult(tools=listed, ttl_ms=LIST_FRESH_FOR_MS, cache_scope="private")

    async def _on_call_tool(
        self, context: ServerRequestContext[Any, Any], params: CallToolRequestParams
    ) -> CallToolResult | InputRequiredResult:
        caller, arguments = self._caller(context), params.arguments or {}
        relay = Relay(context.session.report_progress)
        given = params.model_dump(mode="json", by_alias=True, exclude_none=True).get("inputResponses", {})
        extras = Extras(relay, can_ask(context.session), params.request_state, given)
        async with relay:
            answer = await self.answer(caller, params.name, arguments, extras)
            while answer.asked is not None and context.session.protocol_version != STATELESS:
                given = await ask_in_session(context.session, answer.asked, context.request_id)
                extras = replace(extras, round=answer.round, answers=given)
                answer = await self.answer(caller, params.name, arguments, extras)
        return as_result(answer)

    def _caller(self, context: ServerRequestContext[Any, Any]) -> Caller:
        request = context.request
        assert isinstance(request, Request)
        meta: Mapping[str, Any] | None = context.meta
        return self.identities.identify(request.headers, str(request.path_params.get("agent", "")), meta)

    async def _find(self, caller: Caller, arguments: JsonObject) -> Answer:
        wanted = FindArguments.model_validate(arguments)
        if (message := self._path.limited(caller)) is not None:
            return self._said(ErrorKind.RATE_LIMITED, message)
        found = tools.matches(self._path.ways.table.now, caller, wanted.query)
        hint = (
            f"Use {tools.CALL} with one of these." if found else f"Nothing fits; {tools.REQUEST} tells what is missing."
        )
        return Answer(self._path.ways.new_id(), {"matches": list(found), "hint": hint})

    async def _request(self, caller: Caller, arguments: JsonObject) -> Answer:
        wanted = RequestArguments.model_validate(arguments)
        if (message := self._path.limited(caller)) is not None:
            return self._said(ErrorKind.RATE_LIMITED, message)
        self._path.lacking(caller, RequestKind.ASKED, wanted.need)
        text = "Noted. It is not available now; go on without it and tell the person so."
        return Answer(self._path.ways.new_id(), {"noted": True, "message": text})

    async def _report(self, caller: Caller, arguments: JsonObject) -> Answer:
        told = ReportArguments.model_validate(arguments)
        if (message := self._path.limited(caller)) is not None:
            return self._said(ErrorKind.RATE_LIMITED, message)
        ways = self._path.ways
        report = OutcomeReport(
            id=ways.new_id(),
            call_id=told.call_id,
            success=told.success,
            note=told.note,
            caller=caller.hash,
            reported_at=ways.clock(),
        )
        ways.record(report)
        return Answer(report.id, {"noted": True})

    def _said(self, kind: ErrorKind, message: str) -> Answer:
        return Answer(self._path.ways.new_id(), error=kind, message=message)


def can_ask(session: ServerSession) -> bool:
    """Say whether the agent can put a form to the person; a bare `elicitation` means that it can."""
    capabilities = session.client_capabilities
    elicitation = capabilities.elicitation if capabilities is not None else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


async def ask_in_session(session: ServerSession, asked: Asked, request_id: str | int | None) -> JsonObject:
    """Put a plugin's questions to the person within a session, one after the other."""
    given: JsonObject = {}
    for key, form in _forms_of(asked).items():
        answer = await session.elicit_form(form.message, form.requested_schema, request_id)
        given[key] = answer.model_dump(mode="json", by_alias=True, exclude_none=True, include={"action", "content"})
    return given


def _forms_of(asked: Asked) -> dict[str, ElicitRequestFormParams]:
    return {
        key: ElicitRequestFormParams(message=f"{asked.subject} asks: {one.message}", requested_schema=one.schema)
        for key, one in asked.questions.items()
    }


def as_result(answer: Answer) -> CallToolResult | InputRequiredResult:
    """Return an answer as MCP carries it."""
    if answer.asked is not None:
        requests = {key: ElicitRequest(params=form) for key, form in _forms_of(answer.asked).items()}
        return InputRequiredResult(
            input_requests=dict(requests), request_state=answer.round, _meta={"call_id": answer.call_id}
        )
    if answer.failed:
        return CallToolResult(
            content=[TextContent(text=answer.sentence)],
            is_error=True,
            _meta={"call_id": answer.call_id, "error": answer.kind},
        )
    return CallToolResult(
        content=[TextContent(text=orjson.dumps(answer.result).decode())],
        structured_content=answer.result,
        _meta={"call_id": answer.call_id},
    )
