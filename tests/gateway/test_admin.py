"""Spec 11.2, permission model - decides whether the admin port obeys those it should, and nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from domain.calls import ErrorKind
from domain.errors import (
    GatewayUnreachable,
    IllegalTransition,
    InvalidInput,
    PermissionDenied,
    PluginRegistrationFailed,
)
from gateway.admin_client import AdminClient
from gateway.sockets import bind, url_of
from tests.gateway.factories import BROKEN, House, Running, house, route, stored


@pytest.fixture(scope="module")
async def building(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, Running]]:
    built = house(tmp_path_factory.mktemp("admin"))
    async with built.running() as running:
        yield built, running


ORDERS = [
    ("GET", "/status"),
    ("POST", "/versions"),
    ("DELETE", f"/versions/{'0' * 64}"),
    ("PUT", "/routes/text"),
    ("DELETE", "/routes/text"),
    ("POST", "/probe"),
    ("POST", "/flush"),
]


@pytest.mark.parametrize(("verb", "path"), ORDERS)
async def test_no_order_is_taken_without_the_homes_token(building: tuple[House, Running], verb: str, path: str) -> None:
    _, running = building
    given = [None, "Bearer", "Bearer made-up", f"Basic {running.home.admin_token()}", "Bearer \u00fc"]
    async with httpx.AsyncClient(base_url=running.address.admin, trust_env=False) as client:
        for word in given:
            headers = {b"Authorization": word.encode()} if word is not None else {}
            answer = await client.request(verb, path, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "permission_denied")


async def test_a_wrong_token_arrives_as_what_it_is(building: tuple[House, Running]) -> None:
    _, running = building
    async with AdminClient(running.address.admin, "made-up") as stranger:
        with pytest.raises(PermissionDenied, match="asks for this home's token"):
            await stranger.status()


async def test_the_admin_port_is_not_a_door_and_the_door_is_no_admin_port(building: tuple[House, Running]) -> None:
    _, running = building
    headers = {"Authorization": f"Bearer {running.home.admin_token()}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as client:
        assert (await client.get(f"{running.base}/status")).status_code == 404
        assert (await client.post(f"{running.address.admin}/mcp")).status_code == 404


async def test_a_version_is_loaded_beside_the_others_and_unloaded_again(building: tuple[House, Running]) -> None:
    built, running = building
    version = built.install("1.0.0", capability="extra")
    first, again = await running.admin.load(version), await running.admin.load(version)
    gone, gone_again = await running.admin.unload(version.digest), await running.admin.unload(version.digest)

    assert (first.tools, first.already_loaded, again.already_loaded) == (("extra__shout",), False, True)
    assert (gone.was_loaded, gone_again.was_loaded) == (True, False)


async def test_a_version_that_a_route_needs_is_not_unloaded(building: tuple[House, Running]) -> None:
    built, running = building
    control, candidate = (built.install(f"{major}.0.0", capability="needed") for major in (1, 2))
    await running.admin.set_route(route(control, candidate, capability="needed", share=0.1))
    for version in (control, candidate):
        with pytest.raises(IllegalTransition, match="serves needed and cannot be unloaded"):
            await running.admin.unload(version.digest)


async def test_a_version_that_does_not_come_up_says_why(building: tuple[House, Running]) -> None:
    built, running = building
    sick = built.install("1.0.0", capability="sick", head='raise RuntimeError("no such luck")')
    with pytest.raises(PluginRegistrationFailed, match=r"sick_plugin@1\.0\.0") as caught:
        await running.admin.load(sick)
    assert "no such luck" in str(caught.value.details)


async def test_a_probe_asks_one_version_and_the_ledger_does_not_see_it(building: tuple[House, Running]) -> None:
    built, running = building
    control = built.install("1.0.0", capability="probed")
    broken = built.install("2.0.0", capability="probed", body=BROKEN)
    await running.admin.set_route(route(control, capability="probed"))
    await running.admin.load(broken)
    good = await running.admin.probe(control, "probed", "shout", {"text": "a"})
    bad = await running.admin.probe(broken, "probed", "shout", {"text": "a"})
    wrong = await running.admin.probe(control, "probed", "shout", {"text": 1})
    absent = await running.admin.probe(control, "probed", "whisper", {})
    await running.admin.flush()

    assert (good.ok, good.result) == (True, {"answer": "A", "by": "1.0.0"})
    assert good.duration_ms > 0
    assert (bad.ok, bad.error, bad.message) == (False, ErrorKind.TOOL_ERROR, "cannot do it: a")
    assert (wrong.error, absent.error) == (ErrorKind.INVALID_ARGUMENTS, ErrorKind.UNKNOWN_TOOL)
    assert [record for record in stored(running.home).calls if record.capability == "probed"] == []


async def test_an_order_that_cannot_be_read_says_where(building: tuple[House, Running]) -> None:
    _, running = building
    headers = {"Authorization": f"Bearer {running.home.admin_token()}"}
    async with httpx.AsyncClient(base_url=running.address.admin, headers=headers, trust_env=False) as client:
        unreadable = await client.put("/routes/text", content=b"{")
        half = await client.put("/routes/text", json={"capability": "text", "share": 7})
        other = await client.put("/routes/text", json={"capability": "other"})

    documents = [answer.json()["error"] for answer in (unreadable, half, other)]
    assert [answer.status_code for answer in (unreadable, half, other)] == [400] * 3
    assert {document["code"] for document in documents} == {InvalidInput.code}
    assert "share" in documents[1]["message"]


async def test_a_home_without_a_gateway_is_told_apart_from_one_that_does_not_answer(
    building: tuple[House, Running], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(GatewayUnreachable, match="No gateway is running"):
        AdminClient.of(house(tmp_path_factory.mktemp("dark")).home)
    with bind("127.0.0.1", 0) as closed:
        url = url_of(closed)
    async with AdminClient(url, "token") as client:
        with pytest.raises(GatewayUnreachable, match="does not answer GET /status"):
            await client.status()
