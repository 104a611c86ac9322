"""Spec 4.1, traffic management - decides whether an agent feels a candidate, and whether the ledger tells the truth."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domain.calls import ErrorKind
from domain.routing import PluginVersion, Unit
from tests.gateway.factories import BROKEN, DEADLY, SLOW, Agent, House, Running, house, route, stored, until

SECRET = "4929 1234 5678 9012"


@pytest.fixture(scope="module")
async def building(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, Running]]:
    built = house(tmp_path_factory.mktemp("calls"))
    async with built.running() as running:
        yield built, running


async def final_and_not(running: Running, capability: str) -> list[tuple[bool, str | None, str | None]]:
    """Return whether it was final, variant and error of every attempt of a capability, in order."""
    await running.admin.flush()
    calls = [record for record in stored(running.home).calls if record.capability == capability]
    assert len({record.call_id for record in calls}) == sum(record.final for record in calls)
    return [(record.final, record.variant, record.error) for record in calls]


async def both_sides(built: House, running: Running, capability: str, **candidate: object) -> PluginVersion:
    """Route all callers of a capability to a candidate beside a sound control of the same method."""
    method = {name: value for name, value in candidate.items() if name != "body"}
    control = built.install("1.0.0", capability=capability, **method)
    harmful = built.install("2.0.0", capability=capability, **candidate)
    wanted = route(control, harmful, capability=capability, share=1.0, salt="s", upgrade_id="u-1")
    await running.admin.set_route(wanted)
    return harmful


@pytest.mark.parametrize(
    ("capability", "body", "kind"),
    [("broken", BROKEN, ErrorKind.TOOL_ERROR), ("wrong", 'return {"answer": 1}', ErrorKind.INVALID_RESULT)],
)
async def test_the_control_answers_for_a_candidate_that_fails(
    building: tuple[House, Running], capability: str, body: str, kind: ErrorKind
) -> None:
    built, running = building
    await both_sides(built, running, capability, body=body)
    async with Agent(running.door) as agent:
        result = await agent.call(f"{capability}__shout", {"text": "hello"})

    assert result["structuredContent"] == {"answer": "HELLO", "by": "1.0.0"}
    assert await final_and_not(running, capability) == [(False, "candidate", kind), (True, "control", None)]
    first, second = (record for record in stored(running.home).calls if record.capability == capability)
    assert first.call_id == second.call_id == result["_meta"]["call_id"]
    assert (first.version, second.version) == (f"{capability}_plugin@2.0.0", f"{capability}_plugin@1.0.0")
    assert (first.failed_by_loop, second.failed_by_loop, first.upgrade_id) == (False, False, "u-1")


async def test_a_candidate_that_dies_or_hangs_is_stood_in_for(building: tuple[House, Running]) -> None:
    built, running = building
    await both_sides(built, running, "deadly", body=DEADLY)
    await both_sides(built, running, "endless", body="import time; time.sleep(30)", timeout_seconds=0.3)
    async with Agent(running.door) as agent:
        answers = [await agent.call(f"{name}__shout", {"text": "a"}) for name in ("deadly", "endless")]

    assert [answer["structuredContent"]["by"] for answer in answers] == ["1.0.0", "1.0.0"]
    assert (await final_and_not(running, "deadly"))[0] == (False, "candidate", ErrorKind.PLUGIN_CRASH)
    assert (await final_and_not(running, "endless"))[0] == (False, "candidate", ErrorKind.TIMEOUT)


@pytest.mark.parametrize(
    ("capability", "body", "kind"),
    [("once", BROKEN, ErrorKind.TOOL_ERROR), ("unsure", DEADLY, ErrorKind.OUTCOME_UNKNOWN)],
)
async def test_what_may_have_happened_is_not_done_again_by_another_version(
    building: tuple[House, Running], capability: str, body: str, kind: ErrorKind
) -> None:
    built, running = building
    await both_sides(built, running, capability, body=body, side_effects="unsafe")
    async with Agent(running.door) as agent:
        result = await agent.call(f"{capability}__shout", {"text": "hello"})

    assert (result["isError"], result["_meta"]["error"]) == (True, kind)
    unknown = kind is ErrorKind.OUTCOME_UNKNOWN
    assert (f"This was call {result['_meta']['call_id']};" in result["content"][0]["text"]) is unknown
    assert await final_and_not(running, capability) == [(True, "candidate", kind)]


async def test_a_candidate_with_narrower_arguments_does_not_shut_callers_out(building: tuple[House, Running]) -> None:
    built, running = building
    narrow = {"type": "object", "properties": {"text": {"type": "string", "maxLength": 3}}, "required": ["text"]}
    control = built.install("1.0.0", capability="narrow", side_effects="unsafe")
    candidate = built.install("2.0.0", capability="narrow", side_effects="unsafe", input_schema=narrow)
    await running.admin.set_route(route(control, candidate, capability="narrow", share=1.0))
    async with Agent(running.door) as agent:
        result = await agent.call("narrow__shout", {"text": "hello"})

    assert result["structuredContent"]["by"] == "1.0.0"
    kinds = [(False, "candidate", ErrorKind.INVALID_ARGUMENTS), (True, "control", None)]
    assert await final_and_not(running, "narrow") == kinds


async def test_a_controls_own_error_is_the_answer(building: tuple[House, Running]) -> None:
    built, running = building
    control = built.install("1.0.0", capability="honest", body=BROKEN)
    candidate = built.install("2.0.0", capability="honest")
    await running.admin.set_route(route(control, candidate, capability="honest"))
    async with Agent(running.door) as agent:
        result = await agent.call("honest__shout", {"text": "hello"})

    assert result["content"][0]["text"] == "cannot do it: hello"
    assert await final_and_not(running, "honest") == [(True, "control", ErrorKind.TOOL_ERROR)]


async def test_a_new_capability_is_closed_to_callers_outside_its_share(building: tuple[House, Running]) -> None:
    built, running = building
    first = route(None, built.install("1.0.0", capability="new"), capability="new", allowed_callers=("ann",))
    await running.admin.set_route(first)
    async with (
        Agent(running.door, {"X-Upgrade-Loop-User": "ann"}) as ann,
        Agent(running.door, {"X-Upgrade-Loop-User": "bob"}) as bob,
    ):
        opened, closed = [await agent.call("new__shout", {"text": "a"}) for agent in (ann, bob)]
        assert "new__shout" in await ann.tools()
        assert "new__shout" not in await bob.tools()

    assert opened["structuredContent"]["by"] == "1.0.0"
    assert closed["_meta"]["error"] == ErrorKind.NOT_ENABLED
    assert closed["content"][0]["text"] == (
        "new__shout is being introduced step by step and is not open to this caller yet."
    )
    assert (await final_and_not(running, "new"))[1] == (True, None, ErrorKind.NOT_ENABLED)


async def test_a_caller_stays_on_their_version_and_the_share_holds(building: tuple[House, Running]) -> None:
    built, running = building
    control, candidate = (built.install(f"{major}.0.0", capability="split") for major in (1, 2))
    await running.admin.set_route(route(control, candidate, capability="split", share=0.5, salt="s"))
    async with Agent(running.door) as agent:

        async def answered_by(user: str) -> set[str]:
            answers = [await agent.call("split__shout", {"text": "a"}, user=user) for _ in range(3)]
            return {answer["structuredContent"]["by"] for answer in answers}

        seen = await asyncio.gather(*(answered_by(f"user-{number}") for number in range(60)))

    assert all(len(versions) == 1 for versions in seen)
    # 60 fair coins show fewer than 15 or more than 45 heads less than once in 10,000 (binomial); the salt is fixed.
    assert 15 <= sum(versions == {"2.0.0"} for versions in seen) <= 45


async def test_a_route_that_assigns_calls_decides_anew_for_every_call(building: tuple[House, Running]) -> None:
    built, running = building
    control, candidate = (built.install(f"{major}.0.0", capability="dice") for major in (1, 2))
    await running.admin.set_route(route(control, candidate, capability="dice", share=0.5, unit=Unit.CALL))
    async with Agent(running.door) as agent:
        answers = [await agent.call("dice__shout", {"text": "a"}) for _ in range(40)]

    assert set(Counter(answer["structuredContent"]["by"] for answer in answers)) == {"1.0.0", "2.0.0"}


async def test_a_call_whose_caller_goes_away_is_cancelled_and_recorded(building: tuple[House, Running]) -> None:
    built, running = building
    await running.admin.set_route(route(built.install("1.0.0", capability="slow", body=SLOW), capability="slow"))
    async with Agent(running.door) as agent:
        call = asyncio.create_task(agent.call("slow__shout", {"text": "3"}))

        async def is_running() -> bool:
            return (await running.admin.status()).in_flight == 1

        await until(is_running)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

        async def is_over() -> bool:
            return (await running.admin.status()).in_flight == 0

        await until(is_over, 2)

    assert await final_and_not(running, "slow") == [(True, "control", ErrorKind.CANCELLED)]


async def test_arguments_reach_the_ledger_only_as_replay_samples(building: tuple[House, Running]) -> None:
    built, running = building
    broken = built.install("1.0.0", capability="private", body=BROKEN, side_effects="unsafe")
    await running.admin.set_route(route(broken, capability="private"))
    async with Agent(running.door) as agent:
        result = await agent.call("private__shout", {"text": SECRET})

    assert SECRET in result["content"][0]["text"]
    await running.admin.flush()
    (record,) = [one for one in stored(running.home).calls if one.capability == "private"]
    assert record.error_message == "cannot do it: [argument]"
    held = [path for path in running.home.root.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert held == []


async def test_a_caller_who_calls_too_fast_is_told_when_to_come_back(tmp_path: Path) -> None:
    built = house(tmp_path, calls_per_minute_per_caller=5)
    async with built.running() as running:
        await running.admin.set_route(route(built.install("1.0.0")))
        async with (
            Agent(running.door, {"X-Upgrade-Loop-User": "ann"}) as ann,
            Agent(running.door, {"X-Upgrade-Loop-User": "bob"}) as bob,
        ):
            answers = [await ann.shout() for _ in range(7)]
            limited = await ann.call("find_capability", {"query": "shout"})
            other = await bob.shout()
        await running.admin.flush()

    assert answers == ["1.0.0"] * 5 + [ErrorKind.RATE_LIMITED] * 2
    assert limited["_meta"]["error"] == ErrorKind.RATE_LIMITED
    assert limited["content"][0]["text"].startswith("More than 5 calls a minute by one caller; try again in ")
    assert other == "1.0.0"
    assert Counter(record.error for record in stored(built.home).final) == {None: 6, ErrorKind.RATE_LIMITED: 2}
