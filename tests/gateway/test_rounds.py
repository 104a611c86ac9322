"""Spec 3.4, calls of several rounds - decides whether a question reaches the person and the answer the one who asked.

The client is the official SDK's, in both protocol generations.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from mcp.client import Client, ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestFormParams, ElicitRequestParams, ElicitResult, InputRequiredResult

from domain.calls import ErrorKind
from domain.routing import PluginVersion, VariantName
from domain.versions import SemanticVersion
from gateway.rounds import MOST_OF_ONE_CALLER, ROUND_SECONDS, Extras, Resumed, Rounds, Standing
from plugins.core.rounds import Asked, Question
from tests.gateway.factories import House, Running, house, route, stored, until

both_generations = pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
FORM: dict[str, Any] = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}
SURE = 'sure = ask("sure", "Really shout " + text + "?", FORM); '
ASKS: dict[str, Any] = {
    "takes": ", *, ask",
    "asks": True,
    "side_effects": "unsafe",
    "head": f"FORM = {FORM!r}",
    "body": SURE + 'return {"answer": text.upper() if sure and sure["sure"] else text, "by": VERSION}',
}
COUNTS: dict[str, Any] = {
    "takes": ", *, progress",
    "reports_progress": True,
    "body": 'progress(1, 3, "one"); progress(3, 3, "three"); return {"answer": text, "by": VERSION}',
}


class Person:
    """Answers questions, and remembers them."""

    def __init__(self, action: str = "accept", content: dict[str, Any] | None = None) -> None:
        self.asked: list[str] = []
        self._answer = {"action": action, "content": content}

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        del context
        assert isinstance(params, ElicitRequestFormParams)
        self.asked.append(params.message)
        return ElicitResult.model_validate(self._answer)


@pytest.fixture(scope="module")
async def building(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, Running]]:
    built = house(tmp_path_factory.mktemp("rounds"), warm_hold_seconds=0)
    async with built.running() as running:
        await running.admin.set_route(route(built.install("1.0.0", **ASKS)))
        await running.admin.set_route(route(built.install("1.0.0", capability="count", **COUNTS), capability="count"))
        yield built, running


def error_of(result: CallToolResult) -> object:
    assert result.is_error
    return (result.meta or {})["error"]


async def records_of(running: Running, call_id: str) -> list[tuple[bool, str | None]]:
    await running.admin.flush()
    return [(record.final, record.error) for record in stored(running.home).calls if record.call_id == call_id]


@both_generations
@pytest.mark.parametrize("by_name", [True, False])
async def test_a_question_reaches_the_person_and_the_call_goes_on(
    building: tuple[House, Running], mode: str, by_name: bool
) -> None:
    person = Person(content={"sure": True})
    tool = ("text__shout", {"text": "hey"})
    wrapped = ("call_capability", {"tool": "text__shout", "arguments": {"text": "hey"}})
    async with Client(building[1].door, mode=mode, elicitation_callback=person) as agent:
        result = await agent.call_tool(*(tool if by_name else wrapped))
    assert result.structured_content == {"answer": "HEY", "by": "1.0.0"}
    assert person.asked == ["text__shout asks: Really shout hey?"]
    records = await records_of(building[1], (result.meta or {})["call_id"])
    assert records == [(False, ErrorKind.INPUT_REQUIRED), (True, None)]


@both_generations
async def test_a_person_may_decline(building: tuple[House, Running], mode: str) -> None:
    async with Client(building[1].door, mode=mode, elicitation_callback=Person("decline")) as agent:
        result = await agent.call_tool("text__shout", {"text": "hey"})
    assert result.structured_content == {"answer": "hey", "by": "1.0.0"}


@both_generations
async def test_an_agent_that_cannot_ask_reads_what_was_wanted(building: tuple[House, Running], mode: str) -> None:
    async with Client(building[1].door, mode=mode) as agent:
        result = await agent.call_tool("text__shout", {"text": "hey"})
    assert error_of(result) == ErrorKind.INPUT_REQUIRED
    records = await records_of(building[1], (result.meta or {})["call_id"])
    assert records == [(True, ErrorKind.INPUT_REQUIRED)]


@both_generations
async def test_an_answer_that_does_not_fit_never_reaches_the_plugin(building: tuple[House, Running], mode: str) -> None:
    async with Client(building[1].door, mode=mode, elicitation_callback=Person(content={"sure": "yes"})) as agent:
        result = await agent.call_tool("text__shout", {"text": "hey"})
    assert error_of(result) == ErrorKind.INVALID_ARGUMENTS


async def asked(agent: Client, text: str = "hey") -> InputRequiredResult:
    result = await agent.session.call_tool("text__shout", {"text": text}, allow_input_required=True)
    assert isinstance(result, InputRequiredResult)
    return result


async def answered(agent: Client, state: str | None, text: str = "hey") -> CallToolResult:
    yes = {"sure": ElicitResult(action="accept", content={"sure": True})}
    return await agent.call_tool("text__shout", {"text": text}, input_responses=dict(yes), request_state=state)


async def test_the_answer_goes_to_the_version_that_asked_though_another_serves_by_then(tmp_path: Any) -> None:
    built = house(tmp_path, warm_hold_seconds=0)
    async with built.running() as running:
        await running.admin.set_route(route(built.install("1.0.0", **ASKS)))
        async with Client(running.door, mode="2026-07-28", elicitation_callback=Person()) as agent:
            waiting = await asked(agent)
            await running.admin.set_route(route(built.install("2.0.0", **ASKS)))
            later = await asked(agent)
            old = await answered(agent, waiting.request_state)
            new = await answered(agent, later.request_state)
            assert (old.structured_content or {})["by"] == "1.0.0"
            assert (new.structured_content or {})["by"] == "2.0.0"

            async def one_is_left() -> bool:
                return [one.version.version for one in (await running.admin.status()).versions] == ["2.0.0"]

            await until(one_is_left)


async def test_a_round_is_good_once_and_for_its_own_call_only(building: tuple[House, Running]) -> None:
    async with (
        Client(building[1].door, mode="2026-07-28", elicitation_callback=Person()) as agent,
        Client(building[1].base + "/agents/other/mcp", mode="2026-07-28", elicitation_callback=Person()) as stranger,
    ):
        waiting = await asked(agent)
        assert error_of(await answered(stranger, waiting.request_state)) == ErrorKind.INVALID_ARGUMENTS
        assert error_of(await answered(agent, waiting.request_state, "else")) == ErrorKind.INVALID_ARGUMENTS
        assert error_of(await answered(agent, "made up")) == ErrorKind.INVALID_ARGUMENTS
        assert not (await answered(agent, waiting.request_state)).is_error
        assert error_of(await answered(agent, waiting.request_state)) == ErrorKind.INVALID_ARGUMENTS


@both_generations
async def test_an_agent_is_told_how_far_a_call_is(building: tuple[House, Running], mode: str) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    async with Client(building[1].door, mode=mode) as agent:
        result = await agent.call_tool("count__shout", {"text": "x"}, progress_callback=hear)

        async def heard() -> bool:
            return bool(told)

        await until(heard)
    assert not result.is_error
    assert told[-1] == (3, 3, "three")
    assert told in ([(3, 3, "three")], [(1, 3, "one"), (3, 3, "three")])


VERSION = PluginVersion(plugin="p", version=SemanticVersion("1.0.0"), digest="a" * 64)
ASKED = Asked("t__m", {"sure": Question("Sure?", FORM)}, "state")
ANSWER: Mapping[str, Any] = {"sure": {"action": "accept", "content": {"sure": True}}}


def standing(caller: str = "c", call_id: str = "1") -> Standing:
    return Standing(call_id, caller, "t__m", {"a": 1}, VariantName.CONTROL, VERSION, 1)


def extras(name: str) -> Extras:
    return Extras(can_ask=True, round=name, answers=dict(ANSWER))


def test_a_question_is_forgotten_when_nobody_answers_it() -> None:
    now = 0.0
    rounds = Rounds(lambda: now)
    name = rounds.keep(standing(), ASKED)
    assert rounds.open_of(VERSION.digest)
    now = ROUND_SECONDS
    assert not rounds.open_of(VERSION.digest)
    assert "make the call again" in str(rounds.resume("c", "t__m", {"a": 1}, extras(name)))


def test_one_caller_cannot_crowd_out_the_others() -> None:
    rounds = Rounds(lambda: 0.0)
    mine = rounds.keep(standing("me", "mine"), ASKED)
    theirs = [rounds.keep(standing("crowd", str(n)), ASKED) for n in range(MOST_OF_ONE_CALLER + 1)]
    assert isinstance(rounds.resume("crowd", "t__m", {"a": 1}, extras(theirs[0])), str)
    assert isinstance(rounds.resume("crowd", "t__m", {"a": 1}, extras(theirs[-1])), Resumed)
    resumed = rounds.resume("me", "t__m", {"a": 1}, extras(mine))
    assert isinstance(resumed, Resumed)
    assert (resumed.standing.call_id, resumed.state) == ("mine", "state")
