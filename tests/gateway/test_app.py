"""Spec 10.1, the door's addresses - decides whether each path of the door answers what it should to whom it should."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.identity import Identities, issue_token
from gateway.service import Outside
from tests.gateway.factories import BROKEN, Agent, House, Running, house, route, stored


@pytest.fixture(scope="module")
async def building(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, Running]]:
    built = house(tmp_path_factory.mktemp("app"))
    (built.home.root / "carols-token").write_text(issue_token(built.home, "carol"), encoding="utf-8")
    async with built.running(outside=Outside(metrics=lambda: "loop_metric 1\n")) as running:
        await running.admin.set_route(route(built.install("1.0.0")))
        yield built, running


async def get(running: Running, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=running.base, trust_env=False) as client:
        return await client.get(path, headers=headers)


async def numbers(running: Running) -> dict[tuple[str, str], float]:
    """Return every number of `/metrics` by its name and its labels."""
    text = (await get(running, "/metrics")).text
    return {
        (sample.name, ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_who_calls_is_the_first_that_the_request_tells(building: tuple[House, Running]) -> None:
    """Bearer subject, header or `_meta.user`, agent path, session, installation; each is told by the ledger's hash."""
    _, running = building
    token = (running.home.root / "carols-token").read_text(encoding="utf-8")
    bearer, user = {"Authorization": f"Bearer {token}"}, {"X-Upgrade-Loop-User": "bob"}
    session = {"Mcp-Session-Id": await session_of(running)}
    bot, alone = f"{running.base}/agents/bot/mcp", running.door
    told: list[tuple[str, dict[str, str], dict[str, Any], str]] = [
        (bot, {**bearer, **user}, {"user": "ann"}, "carol"),
        (bot, user, {"user": "ann"}, "bob"),
        (bot, {}, {"user": "ann"}, "ann"),
        (bot, session, {}, "agent:bot"),
        (alone, session, {}, f"session:{session['Mcp-Session-Id']}"),
        (alone, {}, {}, "installation"),
    ]
    for url, headers, meta, _ in told:
        async with Agent(url, headers) as agent:
            assert not (await agent.call("text__shout", {"text": "who"}, **meta)).get("isError")
    await running.admin.flush()

    hash_of = Identities.of(running.home).hash_of
    records = stored(running.home).calls[-len(told) :]
    assert [record.caller for record in records] == [hash_of(name) for *_, name in told]
    assert [record.agent for record in records] == ["bot", "bot", "bot", "bot", "", ""]


async def session_of(running: Running) -> str:
    """Open a session of the older protocol and return its id."""
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    async with httpx.AsyncClient(trust_env=False) as client:
        accept = {"Accept": "application/json, text/event-stream"}
        return (await client.post(running.door, json=body, headers=accept)).headers["mcp-session-id"]


async def test_an_unknown_token_is_refused_before_anything_is_read(building: tuple[House, Running]) -> None:
    _, running = building
    async with Agent(running.door, {"Authorization": "Bearer made-up"}) as stranger:
        status, body = await stranger.post("tools/list", {})

    assert (status, body["error"]["code"]) == (401, "permission_denied")


@pytest.mark.parametrize(("header", "value"), [("Origin", "http://evil.example"), ("Host", "evil.example")])
async def test_a_page_of_another_site_does_not_reach_the_door(
    building: tuple[House, Running], header: str, value: str
) -> None:
    _, running = building
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(running.door, headers={header: value}, json={})

    assert answer.status_code in {403, 421}


async def test_a_gateway_that_serves_is_alive_and_ready(building: tuple[House, Running]) -> None:
    _, running = building
    alive, ready = await get(running, "/healthz"), await get(running, "/readyz")

    assert (alive.status_code, alive.json()) == (200, {"alive": True})
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})


async def test_the_numbers_move_with_the_calls(building: tuple[House, Running]) -> None:
    built, running = building
    await running.admin.set_route(route(built.install("1.0.0", capability="sad", body=BROKEN), capability="sad"))
    before = await numbers(running)
    async with Agent(running.door) as agent:
        for _ in range(3):
            await agent.shout()
        await agent.call("sad__shout", {"text": "a"})
        for name in ("made_up", "made__up", 'na"sty{}'):
            await agent.call(name, {})
    after = await numbers(running)

    moved = {key: value - before.get(key, 0.0) for key, value in after.items() if value != before.get(key, 0.0)}
    calls = {labels: value for (name, labels), value in moved.items() if name == "upgrade_loop_gateway_calls_total"}
    assert calls == {
        "capability=text,final=true,outcome=ok,variant=control,version=text_plugin@1.0.0": 3.0,
        "capability=sad,final=true,outcome=tool_error,variant=control,version=sad_plugin@1.0.0": 1.0,
        "capability=none,final=true,outcome=unknown_tool,variant=none,version=none": 3.0,
    }
    timed = ("upgrade_loop_gateway_call_duration_seconds_count", "capability=text,version=text_plugin@1.0.0")
    assert moved[timed] == 3.0
    assert after["upgrade_loop_gateway_ready", ""] == 1.0
    assert after["upgrade_loop_gateway_routing_generation", ""] == 2.0
    assert (after["upgrade_loop_metrics_available", ""], after["loop_metric", ""]) == (1.0, 1.0)


async def test_the_doors_numbers_are_served_when_the_loops_cannot_be(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    def unreachable() -> str:
        raise RuntimeError("no database")

    built = house(tmp_path_factory.mktemp("alone"))
    async with built.running(outside=Outside(metrics=unreachable)) as running:
        found = await numbers(running)

    assert (found["upgrade_loop_metrics_available", ""], found["upgrade_loop_gateway_ready", ""]) == (0.0, 1.0)


async def test_a_control_that_does_not_answer_makes_the_door_unready(tmp_path_factory: pytest.TempPathFactory) -> None:
    built = house(tmp_path_factory.mktemp("unready"))
    version = built.install("1.0.0")
    async with built.running() as running:
        await running.admin.set_route(route(version))
    (built.home.packages / version.digest / "plugin.py").write_text("raise SystemExit(1)", encoding="utf-8")
    async with built.running() as running:
        ready, alive = await get(running, "/readyz"), await get(running, "/healthz")
        async with Agent(running.door) as agent:
            refused = await agent.call("text__shout", {"text": "a"})
        status = await running.admin.status()
        await running.admin.flush()

    assert (ready.status_code, alive.status_code, status.ready) == (503, 200, False)
    assert "text_plugin@1.0.0 is not loaded" in ready.json()["reasons"][0]
    assert refused["_meta"]["error"] == "unavailable"
    held = stored(built.home)
    assert (held.requests, [record.failed_by_loop for record in held.calls]) == ([], [True])
