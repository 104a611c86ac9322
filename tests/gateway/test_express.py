"""Spec 3.1, the express lane - decides whether its answers are the SDK's own, and whether it takes only what it may."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.express import Express
from gateway.identity import issue_token
from gateway.service import Gateway
from tests.gateway.factories import BROKEN, house, route

HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "text__shout",
}
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
ANYTHING = {"type": "object"}
MIRRORED = {"type": "object", "properties": {"text": {"type": "string", "x-mcp-header": "text"}}}
Changes = dict[str, Any]


class Both:
    """A gateway's door, asked through its express lane and past it."""

    def __init__(self, express: Express, token: str) -> None:
        self.token = token
        self.express = express
        self.sdk = express.rest
        self.passed_on = 0
        express.rest = self._counting

    async def _counting(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.passed_on += 1
        await self.sdk(scope, receive, send)

    async def ask(self, pieces: list[bytes], headers: Changes, path: str = "/mcp") -> tuple[int, Any, int]:
        """Return status and body of the answer, and how often the SDK was asked for it."""
        before = self.passed_on
        status, body = await exchange(self.express, pieces, headers, path)
        return status, body, self.passed_on - before

    async def expected(self, pieces: list[bytes], headers: Changes, path: str = "/mcp") -> tuple[int, Any]:
        """Return what the SDK alone would answer."""
        return await exchange(self.sdk, pieces, headers, path)


async def exchange(app: ASGIApp, pieces: list[bytes], headers: Changes, path: str) -> tuple[int, Any]:
    """Post a body, as the HTTP server hands it on, and return status and body of the answer."""
    length = {"Host": "127.0.0.1:7400", "Content-Length": str(sum(map(len, pieces)))}
    raw = [(name.lower().encode(), str(value).encode()) for name, value in (length | headers).items()]
    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": raw,
    }
    coming, hung_up = iter(enumerate(pieces, 1)), asyncio.Event()
    sent: list[Message] = []

    async def receive() -> Message:
        number, piece = next(coming, (0, b""))
        if not number:
            await hung_up.wait()
        return {"type": "http.request", "body": piece, "more_body": number < len(pieces)}

    async def send(part: Message) -> None:
        sent.append(part)

    await app(scope, receive, send)
    return sent[0]["status"], comparable(b"".join(part.get("body", b"") for part in sent[1:]))


def comparable(body: bytes) -> Any:
    """Return an answer's body without the ids that are new for every call."""
    try:
        answer = json.loads(body)
    except ValueError:
        return body
    if meta := answer.get("result", {}).get("_meta"):
        assert len(meta.pop("call_id")) == 32
    return answer


def message(name: str = "text__shout", arguments: Any = None, **changes: Any) -> bytes:
    """Return a call as a client sends it, with parts of it changed; `params` changes the parameters."""
    params = {"name": name, "arguments": {"text": "hello"} if arguments is None else arguments, "_meta": META}
    params |= changes.pop("params", {})
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params, **changes}).encode()


@pytest.fixture(scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    built = house(tmp_path_factory.mktemp("express"))
    token = issue_token(built.home, "carol")
    gateway = Gateway(built.home, built.settings)
    plugins: dict[str, Changes] = {
        "text": {},
        "sad": {"body": BROKEN},
        "odd": {
            "body": 'return {"none": None, "long": 2**53, "more": [1.5, "ü\\u2028", {"a": [None]}], "text": text}',
            "output_schema": ANYTHING,
        },
        "mirrored": {"input_schema": MIRRORED},
    }
    ready, over = asyncio.Event(), asyncio.Event()

    async def serve() -> None:
        async with gateway.running():
            for capability, options in plugins.items():
                version = built.install("1.0.0", capability=capability, **options)
                await gateway.swaps.set_route(route(version, capability=capability))
            ready.set()
            await over.wait()

    serving = asyncio.create_task(serve())
    await asyncio.wait({serving, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
    yield Both(cast("Express", gateway.door), token)
    over.set()
    await serving


PLAIN: list[tuple[str, Any]] = [
    ("text__shout", {"text": "hello"}),
    ("text__shout", {"text": "Grüße, \u2028 and \U0001f600"}),
    ("text__shout", {"text": 7}),
    ("text__shout", {}),
    ("sad__shout", {"text": "hello"}),
    ("odd__shout", {"text": "hello"}),
    ("text__shoot", {"text": "hello"}),
    ("no_such_tool", {}),
    ("find_capability", {"query": "capital letters"}),
    ("find_capability", {"wish": "capital letters"}),
    ("call_capability", {"tool": "text__shout", "arguments": {"text": "hello"}}),
    ("request_capability", {"need": "a PDF"}),
    ("report_outcome", {"success": True}),
]


@pytest.mark.parametrize(("name", "arguments"), PLAIN)
async def test_a_plain_call_is_answered_as_the_sdk_would(both: Both, name: str, arguments: Any) -> None:
    headers, body = {**HEADERS, "Mcp-Name": name}, [message(name, arguments)]
    status, answer = await both.expected(body, headers)
    assert await both.ask(body, headers) == (200, answer, 0)
    assert status == 200


STILL_PLAIN: dict[str, tuple[bytes, Changes]] = {
    "an id of letters": (message(id="a-1"), {}),
    "the parameters' order": (message(params={"_meta": {**META, "user": "ann"}}), {}),
    "client info": (
        message(params={"_meta": {**META, "io.modelcontextprotocol/clientInfo": {"name": "c", "version": "1"}}}),
        {},
    ),
    "no arguments": (
        json.dumps({**json.loads(message()), "params": {"name": "text__shout", "_meta": META}}).encode(),
        {},
    ),
    "the other order of what is accepted": (message(), {"Accept": "text/event-stream, application/json"}),
    "what only Python takes for a number": (message().replace(b'"hello"', b"NaN"), {}),
    "a number that no float holds": (message(arguments={"text": 2**80}), {}),
    "a user": (message(), {"X-Upgrade-Loop-User": "bob"}),
}


@pytest.mark.parametrize("change", STILL_PLAIN)
async def test_what_clients_do_differently_stays_plain(both: Both, change: str) -> None:
    body, headers = STILL_PLAIN[change]
    expected = await both.expected([body], HEADERS | headers)
    assert await both.ask([body], HEADERS | headers) == (*expected, 0)


async def test_an_agent_with_a_name_takes_the_lane_too(both: Both) -> None:
    expected = await both.expected([message()], HEADERS, "/agents/bot/mcp")
    assert await both.ask([message()], HEADERS, "/agents/bot/mcp") == (*expected, 0)


async def test_a_known_token_takes_the_lane(both: Both) -> None:
    status, _, passed_on = await both.ask([message()], HEADERS | {"Authorization": f"Bearer {both.token}"})
    assert (status, passed_on) == (200, 0)


IN_DOUBT: dict[str, tuple[bytes, Changes]] = {
    "no JSON": (b"{", {}),
    "a batch": (b"[" + message() + b"]", {}),
    "a notification": (json.dumps({"jsonrpc": "2.0", "method": "notifications/cancelled"}).encode(), {}),
    "another JSON-RPC": (message(jsonrpc="1.0"), {}),
    "a member too many": (message(more=1), {}),
    "an id that is true": (message(id=True), {}),
    "an id that is null": (message(id=None), {}),
    "an id that is a fraction": (message(id=1.5), {}),
    "an id beyond 53 bits": (message(id=2**60), {}),
    "an id that cannot be encoded": (message(id="\ud800"), {}),
    "another method": (message(method="tools/list"), {}),
    "parameters that are a list": (message()[:-1] + b', "params": []}', {}),
    "a name that is a number": (message(params={"name": 7}), {}),
    "arguments that are null": (message(params={"arguments": None}), {}),
    "arguments that are a list": (message(arguments=[1]), {}),
    "no meta": (message(params={"_meta": None}), {}),
    "a version in the body that the header does not have": (
        message(params={"_meta": {**META, "io.modelcontextprotocol/protocolVersion": "2030-01-01"}}),
        {},
    ),
    "capabilities that are none": (
        message(params={"_meta": {**META, "io.modelcontextprotocol/clientCapabilities": 7}}),
        {},
    ),
    "a progress token": (message(params={"_meta": {**META, "progressToken": {}}}), {}),
    "state of an earlier round": (message(params={"requestState": "abc"}), {}),
    "a name that the header does not have": (message(), {"Mcp-Name": "text__other"}),
    "a name in other letters": (message(), {"Mcp-Name": "=?base64?dGV4dF9fc2hvdXQ=?="}),
    "a method that the header does not have": (message(), {"Mcp-Method": "tools/list"}),
    "a version nobody knows": (message(), {"MCP-Protocol-Version": "2030-01-01"}),
    "no JSON accepted": (message(), {"Accept": "text/html"}),
    "anything accepted": (message(), {"Accept": "*/*"}),
    "text": (message(), {"Content-Type": "text/plain"}),
    "JSON with a parameter": (message(), {"Content-Type": "application/json; charset=utf-8"}),
    "another host": (message(), {"Host": "evil.example:7400"}),
    "a host without a port": (message(), {"Host": "127.0.0.1"}),
    "another site's page": (message(), {"Origin": "http://evil.example"}),
    "this site's page": (message(), {"Origin": "http://127.0.0.1:7400"}),
    "a token that is not known": (message(), {"Authorization": "Bearer made-up"}),
    "a parameter in a header": (message(), {"Mcp-Param-Text": "hello"}),
    "a body beyond the limit": (message(arguments={"text": "x" * (5 << 20)}), {}),
}


@pytest.mark.parametrize("doubt", IN_DOUBT)
async def test_what_is_not_plain_is_for_the_sdk_to_judge(both: Both, doubt: str) -> None:
    body, headers = IN_DOUBT[doubt]
    expected = await both.expected([body], HEADERS | headers)
    assert await both.ask([body], HEADERS | headers) == (*expected, 1)


async def test_a_body_that_comes_in_pieces_is_for_the_sdk(both: Both) -> None:
    pieces = [message()[:20], message()[20:]]
    assert await both.ask(pieces, HEADERS) == (*await both.expected([message()], HEADERS), 1)


@pytest.mark.parametrize(
    ("said", "status"), [({}, 400), ({"Mcp-Param-text": "hello"}, 200), ({"Mcp-Param-text": "x"}, 400)]
)
async def test_a_tool_that_wants_arguments_in_headers_is_for_the_sdk(both: Both, said: Changes, status: int) -> None:
    headers, body = {**HEADERS, "Mcp-Name": "mirrored__shout", **said}, [message("mirrored__shout")]
    expected = await both.expected(body, headers)
    assert await both.ask(body, headers) == (*expected, 1)
    assert expected[0] == status
