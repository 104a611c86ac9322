"""What an agent is told of a call that lasts."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.progress import Relay


def told(progress: float) -> dict[str, Any]:
    return {"progress": progress, "total": 9}


async def test_an_agent_that_listens_slowly_hears_the_last_word_and_holds_nobody_up() -> None:
    heard: list[float] = []

    async def slowly(progress: float, _total: float | None, _message: str | None) -> None:
        await asyncio.sleep(0.01)
        heard.append(progress)

    async with Relay(slowly) as relay:
        for step in range(1, 8):
            relay(told(step))
        await asyncio.sleep(0.05)
        relay(told(9))
    assert heard == [7, 9]


async def test_progress_only_grows() -> None:
    heard: list[float] = []

    async def listen(progress: float, _total: float | None, _message: str | None) -> None:
        heard.append(progress)

    async with Relay(listen) as relay:
        for step in (1, 5, 3, 5, 6):
            relay(told(step))
            await asyncio.sleep(0)
    assert heard == [1, 5, 6]


async def test_an_agent_that_is_gone_is_not_told_again_and_breaks_nothing() -> None:
    tries = 0

    async def gone(*_: object) -> None:
        nonlocal tries
        tries += 1
        raise OSError

    async with Relay(gone) as relay:
        for step in (1, 2, 3):
            relay(told(step))
            await asyncio.sleep(0.001)
    assert tries == 1
