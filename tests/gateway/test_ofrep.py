"""OpenFeature's remote evaluation: the real SDK and its OFREP provider get the variant that a call would get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails

from domain.routing import HashId, Route, Unit
from tests.gateway.factories import Agent, House, Running, house, route, stored

FLAGS = "/ofrep/v1/evaluate/flags"


@pytest.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, Running]]:
    built = house(tmp_path_factory.mktemp("ofrep"))
    old, new = built.install("1.0.0"), built.install("1.1.0")
    half = route(old, new, share=0.5, salt="rollout-1", upgrade_id="up-1", allowed_callers=("owner",))
    async with built.running() as running:
        await running.admin.set_route(half)
        await running.admin.set_route(Route(capability="calm", control=built.install("1.0.0", capability="calm")))
        fresh = Route(capability="fresh", candidate=built.install("1.0.0", capability="fresh"), share=0.0)
        await running.admin.set_route(fresh)
        yield built, running


@pytest.fixture(scope="module")
def client(place: tuple[House, Running]) -> OpenFeatureClient:
    api.set_provider_and_wait(OFREPProvider(place[1].base), "upgrade-loop")
    return api.get_client("upgrade-loop")


async def asked(client: OpenFeatureClient, flag: str, name: str, **more: Any) -> FlagEvaluationDetails[str]:
    context = EvaluationContext(name or None, more)
    return await asyncio.to_thread(client.get_string_details, flag, "unknown", context)


async def post(running: Running, path: str, body: Any = None, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=running.base, trust_env=False) as http:
        content = body if isinstance(body, bytes) else None
        return await http.post(path, json=None if content else body, content=content, headers=headers)


async def test_the_sdk_gets_the_variant_that_answers_the_callers_calls(
    place: tuple[House, Running], client: OpenFeatureClient
) -> None:
    _, running = place
    seen = set()
    for name in ("anna", "ben", "cora", "dan", "eve", "finn"):
        told = await asked(client, "text", name)
        async with Agent(running.door, {"X-Upgrade-Loop-User": name}) as agent:
            answer = await agent.call("text__shout", {"text": "x"})
        version = told.flag_metadata["version"]
        assert f"text_plugin@{answer['structuredContent']['by']}" == version
        assert told.value == told.variant == ("candidate" if version == "text_plugin@1.1.0" else "control")
        assert (told.reason, told.flag_metadata["upgrade_id"]) == ("SPLIT", "up-1")
        seen.add(told.value)
    assert seen == {"candidate", "control"}


async def test_why_it_is_so_is_told_in_openfeatures_words(client: OpenFeatureClient) -> None:
    owner, calm, fresh = [await asked(client, flag, "owner") for flag in ("text", "calm", "fresh")]
    assert (owner.value, owner.reason) == ("candidate", "TARGETING_MATCH")
    assert (calm.value, calm.reason) == ("control", "STATIC")
    assert (fresh.value, fresh.flag_metadata["version"]) == ("none", "")


async def test_what_cannot_be_answered_is_an_error_and_the_default_stands(client: OpenFeatureClient) -> None:
    unknown, nameless = await asked(client, "nothing", "anna"), await asked(client, "text", "")
    assert (unknown.value, unknown.error_code) == ("unknown", ErrorCode.FLAG_NOT_FOUND)
    assert (nameless.value, nameless.error_code) == ("unknown", ErrorCode.TARGETING_KEY_MISSING)


async def test_a_route_by_session_places_the_session(place: tuple[House, Running], client: OpenFeatureClient) -> None:
    built, running = place
    old, new = built.install("2.0.0"), built.install("2.1.0")
    by_session = route(old, new, share=0.5, salt="s", unit=Unit.SESSION, hash_id=HashId.UNLEASH)
    before = (await running.admin.status()).table.routes["text"]
    await running.admin.set_route(by_session)
    try:
        for session in ("one", "two", "three", "four"):
            values = {(await asked(client, "text", name, session=session)).value for name in ("anna", "ben")}
            assert len(values) == 1
    finally:
        await running.admin.set_route(before)


async def test_all_flags_at_once_and_nothing_when_nothing_changed(place: tuple[House, Running]) -> None:
    _, running = place
    anna = {"context": {"targetingKey": "anna"}}
    first = await post(running, FLAGS, anna)
    assert [flag["key"] for flag in first.json()["flags"]] == ["calm", "fresh", "text"]
    again = await post(
        running, FLAGS, {"context": {"targetingKey": "anna"}}, **{"If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PARSE_ERROR"),
        ([], "INVALID_CONTEXT"),
        ({"context": "anna"}, "INVALID_CONTEXT"),
        ({"context": {"targetingKey": "anna", "session": 5}}, "INVALID_CONTEXT"),
        ({"context": {"targetingKey": 5}}, "TARGETING_KEY_MISSING"),
        ({}, "TARGETING_KEY_MISSING"),
    ],
)
@pytest.mark.parametrize("path", [FLAGS, f"{FLAGS}/text"])
async def test_a_request_that_is_none_is_told_what_is_wrong(
    place: tuple[House, Running], path: str, body: Any, code: str
) -> None:
    answer = await post(place[1], path, body, **{"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    assert answer.json()["errorDetails"]


async def test_asking_is_no_call(place: tuple[House, Running], client: OpenFeatureClient) -> None:
    built, running = place
    await running.admin.flush()
    before = stored(built.home)
    await asked(client, "text", "somebody new")
    await running.admin.flush()
    assert stored(built.home) == before


async def test_who_is_not_let_in_is_told_nothing(place: tuple[House, Running]) -> None:
    _, running = place
    context = {"context": {"targetingKey": "anna"}}
    assert (await post(running, FLAGS, context, Authorization="Bearer wrong")).status_code == 401
    assert (await post(running, FLAGS, context, Origin="http://elsewhere.example")).status_code == 403
    assert (await post(running, FLAGS, context, Host="elsewhere.example")).status_code == 421
