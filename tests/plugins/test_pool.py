"""Which instance answers, and who waits; the instances here are stand-ins that only live and die."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

import pytest

from domain.calls import ErrorKind
from plugins.core.failures import PluginFailure
from plugins.core.pool import CALLS_PER_INSTANCE, QUEUE_LIMIT, Instance, Lease, Pool
from plugins.core.process import PluginProcess


@dataclass
class Life:
    """All that a pool asks of a process."""

    alive: bool = True


def pool_of(count: int) -> Pool:
    pool = Pool("calculator@1.0.0")
    pool.instances += [Instance(cast("PluginProcess", Life())) for _ in range(count)]
    return pool


def kill(instance: Instance) -> None:
    cast("Life", instance.process).alive = False


def in_seconds(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def fill(pool: Pool) -> list[Lease]:
    return [await pool.borrow(in_seconds(60)) for _ in range(CALLS_PER_INSTANCE * len(pool.instances))]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def failure_of(borrowing: asyncio.Task[Lease]) -> PluginFailure:
    with pytest.raises(PluginFailure) as caught:
        await borrowing
    return caught.value


async def test_calls_spread_evenly() -> None:
    pool = pool_of(3)
    for _ in range(30):
        await pool.borrow(in_seconds(1))
    assert [len(one.calls) for one in pool.instances] == [10, 10, 10]


async def test_the_instance_with_the_fewest_calls_answers() -> None:
    pool = pool_of(2)
    leases = [await pool.borrow(in_seconds(1)) for _ in range(10)]
    for lease in leases:
        if lease.instance is pool.instances[1]:
            pool.give_back(lease)
    assert (await pool.borrow(in_seconds(1))).instance is pool.instances[1]


async def test_a_dead_instance_answers_nothing() -> None:
    pool = pool_of(2)
    kill(pool.instances[0])
    assert {(await pool.borrow(in_seconds(1))).instance for _ in range(5)} == {pool.instances[1]}


async def test_an_instance_takes_so_many_calls_and_no_more() -> None:
    pool = pool_of(1)
    await fill(pool)
    failure = await failure_of(asyncio.create_task(pool.borrow(in_seconds(0.02))))
    assert failure.kind is ErrorKind.UNAVAILABLE
    assert "in time" in failure.message
    assert len(pool.instances[0].calls) == CALLS_PER_INSTANCE


async def test_who_waits_is_served_in_the_order_of_arrival() -> None:
    pool = pool_of(1)
    leases = await fill(pool)
    order: list[int] = []

    async def wait(number: int) -> None:
        lease = await pool.borrow(in_seconds(5))
        order.append(number)
        pool.give_back(lease)

    waiting = [asyncio.create_task(wait(number)) for number in range(10)]
    await settle()
    pool.wake_all()
    await settle()
    pool.give_back(leases[0])
    await asyncio.gather(*waiting)
    assert order == list(range(10))


async def test_a_newcomer_does_not_pass_those_who_wait() -> None:
    pool = pool_of(1)
    leases = await fill(pool)
    first = asyncio.create_task(pool.borrow(in_seconds(5)))
    await settle()
    pool.give_back(leases[0])
    newcomer = asyncio.create_task(pool.borrow(in_seconds(0.05)))
    assert (await first).instance is pool.instances[0]
    assert (await failure_of(newcomer)).kind is ErrorKind.UNAVAILABLE


async def test_a_turn_of_someone_who_left_goes_to_the_next() -> None:
    pool = pool_of(1)
    leases = await fill(pool)
    leaving, staying = (asyncio.create_task(pool.borrow(in_seconds(5))) for _ in range(2))
    await settle()
    pool.give_back(leases[0])
    leaving.cancel()
    assert (await staying).instance is pool.instances[0]
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_too_many_waiting_calls_are_refused_at_once() -> None:
    pool = pool_of(1)
    await fill(pool)
    waiting = [asyncio.create_task(pool.borrow(in_seconds(5))) for _ in range(QUEUE_LIMIT)]
    await settle()
    with pytest.raises(PluginFailure, match="waiting already"):
        await pool.borrow(in_seconds(5))
    pool.close("it was stopped")
    failures = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(failure, PluginFailure) for failure in failures)


async def test_a_repeated_call_avoids_the_instance_that_failed_it() -> None:
    pool = pool_of(2)
    failed = pool.instances[0]
    for _ in range(5):
        assert (await pool.borrow(in_seconds(1), avoid=failed)).instance is pool.instances[1]


async def test_a_repeated_call_takes_the_same_instance_when_no_other_lives() -> None:
    pool = pool_of(2)
    kill(pool.instances[1])
    assert (await pool.borrow(in_seconds(1), avoid=pool.instances[0])).instance is pool.instances[0]


async def test_a_repeated_call_that_waits_does_not_hold_up_a_first_one() -> None:
    pool = pool_of(2)
    leases = await fill(pool)
    repeated = asyncio.create_task(pool.borrow(in_seconds(5), avoid=pool.instances[0]))
    await settle()
    for lease in leases:
        if lease.instance is pool.instances[0]:
            pool.give_back(lease)
    await settle()
    assert not repeated.done()
    assert (await pool.borrow(in_seconds(0.05))).instance is pool.instances[0]
    pool.give_back(next(lease for lease in leases if lease.instance is pool.instances[1]))
    assert (await repeated).instance is pool.instances[1]


async def test_who_waits_for_a_restart_is_woken_by_it() -> None:
    pool = pool_of(1)
    kill(pool.instances[0])
    waiting = [asyncio.create_task(pool.borrow(in_seconds(5))) for _ in range(3)]
    await settle()
    pool.instances[0].process = cast("PluginProcess", Life())
    pool.wake_all()
    assert {lease.instance for lease in await asyncio.gather(*waiting)} == {pool.instances[0]}


async def test_a_closed_pool_refuses_with_its_reason() -> None:
    pool = pool_of(1)
    pool.close("it was stopped")
    with pytest.raises(PluginFailure, match=r"calculator@1\.0\.0 does not answer: it was stopped"):
        await pool.borrow(in_seconds(1))


async def test_patience_is_that_of_the_older_calls_only() -> None:
    pool = pool_of(1)
    now = in_seconds(0)
    older = await pool.borrow(now + 10)
    mine = await pool.borrow(now + 1)
    await pool.borrow(now + 99)
    instance = pool.instances[0]
    assert instance.patience(mine, now) == pytest.approx(10)
    pool.give_back(older)
    assert instance.patience(mine, now) == 0
