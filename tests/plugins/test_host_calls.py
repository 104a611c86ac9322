"""What a plugin asks of its host: how much at a time, and for how long."""

from __future__ import annotations

import asyncio

import pytest

from domain.calls import ErrorKind
from domain.network import NetworkOutcome
from plugins.core.failures import PluginFailure
from plugins.core.host_calls import OPEN_LIMIT
from tests.plugins.asking import Asking
from tests.plugins.web import Web


async def test_few_requests_run_at_a_time_and_the_others_wait(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    answer = await asking.call("get_many", url=f"http://{web.here}/pause", count=3 * OPEN_LIMIT)
    assert answer["outcomes"] == ["200"] * 3 * OPEN_LIMIT
    assert web.most <= OPEN_LIMIT


async def test_too_many_requests_at_a_time_are_refused(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    outcomes = (await asking.call("get_many", url=f"http://{web.here}/pause", count=100))["outcomes"]
    assert outcomes.count("200") < 100
    assert any("are open already" in outcome for outcome in outcomes)


async def test_a_cancelled_call_takes_its_requests_along(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    call = asyncio.ensure_future(asking.call("get_async", url=f"http://{web.here}/silence"))
    while not web.seen:
        await asyncio.sleep(0.01)
    call.cancel()
    await web.closed()
    assert asking.told[-1].outcome is NetworkOutcome.CANCELLED
    assert (await asking.call("get", url=f"http://{web.here}/echo"))["status"] == 200


async def test_a_method_whose_call_is_given_up_is_freed_from_its_request(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    call = asyncio.ensure_future(asking.call("get", url=f"http://{web.here}/silence"))
    while not web.seen:
        await asyncio.sleep(0.01)
    call.cancel()
    async with asyncio.timeout(2):
        assert (await asking.call("get", url=f"http://{web.here}/echo"))["status"] == 200


async def test_an_answered_call_leaves_no_request_behind(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    await asking.call("later", url=f"http://{web.here}/silence")
    await web.closed()
    async with asyncio.timeout(5):
        while not (kept := (await asking.call("kept"))["kept"]):
            await asyncio.sleep(0.01)
    assert kept == ["The call that this was for has ended."]


async def test_a_plugin_that_dies_leaves_no_request_behind(asking: Asking, web: Web) -> None:
    await asking.start([web.here])
    call = asyncio.ensure_future(asking.call("get", url=f"http://{web.here}/silence"))
    while not web.seen:
        await asyncio.sleep(0.01)
    assert asking.host is not None
    await asking.host.close()
    with pytest.raises(PluginFailure) as caught:
        await call
    assert caught.value.kind in {ErrorKind.PLUGIN_CRASH, ErrorKind.UNAVAILABLE}
    await web.closed()
