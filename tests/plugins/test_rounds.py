"""What a plugin may ask the person, and how a method asks: real processes, asked again and again."""

from __future__ import annotations

from typing import Any

import pytest

from domain.base import JsonObject
from domain.calls import ErrorKind
from plugins.core.failures import PluginFailure
from plugins.core.host import PluginHost
from plugins.core.rounds import LONGEST_MESSAGE, LONGEST_STATE, MOST_QUESTIONS, Asked, Turn, asked_of
from tests.plugins.conftest import Adder
from tests.plugins.factories import a_manifest, a_tool, an_unsafe_tool, numbers_plugin

YES_OR_NO = {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"]}
ASKING = numbers_plugin(
    """
    def erase(self, *, count, ask):
        sure = ask("sure", f"Erase {count} files?", SCHEMA)
        if sure is None or not sure["sure"]:
            return {"erased": 0}
        why = ask("why", "Why?", {"type": "object", "properties": {"why": {"type": "string"}}})
        return {"erased": count, "why": why}

    async def later(self, *, ask):
        try:
            return {"answer": ask("sure", "Now?", SCHEMA)}
        except Exception:
            return {"answer": "never asked"}

    def silent(self, *, ask):
        return {"answer": ask("sure", "Now?", SCHEMA)}
    """,
    head=f"SCHEMA = {YES_OR_NO!r}",
)
TOOLS = (an_unsafe_tool("erase", asks=True), a_tool("later", asks=True), a_tool("silent"))


def accepted(**content: Any) -> JsonObject:
    return {"action": "accept", "content": content}


@pytest.fixture
async def call(host: PluginHost, add: Adder) -> Any:
    version = add(a_manifest(*TOOLS), ASKING)
    await host.load(version)

    async def calling(method: str, arguments: JsonObject, turn: Turn | None = None) -> JsonObject:
        return await host.call(version, "numbers", method, arguments, turn=turn or Turn())

    return calling


async def asked(calling: Any) -> Asked:
    with pytest.raises(Asked) as caught:
        await calling
    return caught.value


async def test_a_method_asks_goes_on_with_the_answer_and_remembers_it(call: Any) -> None:
    first = await asked(call("erase", {"count": 3}))
    assert {key: one.message for key, one in first.questions.items()} == {"sure": "Erase 3 files?"}
    assert first.questions["sure"].schema == YES_OR_NO
    second = await asked(call("erase", {"count": 3}, Turn(None, first.state, {"sure": accepted(sure=True)})))
    assert list(second.questions) == ["why"]
    done = await call("erase", {"count": 3}, Turn(None, second.state, {"why": accepted(why="old")}))
    assert done == {"erased": 3, "why": {"why": "old"}}


async def test_a_person_who_declines_is_an_answer_too(call: Any) -> None:
    first = await asked(call("erase", {"count": 3}))
    assert await call("erase", {"count": 3}, Turn(None, first.state, {"sure": {"action": "decline"}})) == {"erased": 0}


async def test_a_coroutine_asks_too_and_no_except_holds_a_question_back(call: Any) -> None:
    first = await asked(call("later", {}))
    assert await call("later", {}, Turn(None, first.state, {"sure": accepted(sure=False)})) == {
        "answer": {"sure": False}
    }


async def test_a_method_that_did_not_say_that_it_asks_may_not(call: Any) -> None:
    with pytest.raises(PluginFailure, match="which its contract does not say") as caught:
        await call("silent", {})
    assert caught.value.kind is ErrorKind.INVALID_RESULT


async def test_who_cannot_ask_reads_what_was_wanted(call: Any) -> None:
    failure = await asked(call("erase", {"count": 3}))
    assert failure.kind is ErrorKind.INPUT_REQUIRED
    assert "numbers__erase asks the person first" in failure.message
    assert "Erase 3 files?" in failure.message


def a_form(message: Any = "Well?", schema: Any = None, **more: Any) -> dict[str, Any]:
    params = {"message": message, "requestedSchema": schema or YES_OR_NO, **more}
    return {"method": "elicitation/create", "params": params}


def with_field(field: Any) -> dict[str, Any]:
    return a_form(schema={"type": "object", "properties": {"x": field}})


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"inputRequests": {}},
        {"inputRequests": {f"q{n}": a_form() for n in range(MOST_QUESTIONS + 1)}},
        {"inputRequests": {"": a_form()}},
        {"inputRequests": {"q": a_form()}, "requestState": "x" * (LONGEST_STATE + 1)},
        {"inputRequests": {"q": a_form()}, "requestState": 7},
        {"inputRequests": {"q": {"method": "sampling/createMessage", "params": {}}}},
        {"inputRequests": {"q": {"method": "roots/list"}}},
        {"inputRequests": {"q": a_form(mode="url", url="https://example.org")}},
        {"inputRequests": {"q": a_form("")}},
        {"inputRequests": {"q": a_form("x" * (LONGEST_MESSAGE + 1))}},
        {"inputRequests": {"q": a_form(schema={"type": "object"})}},
        {"inputRequests": {"q": a_form(schema={"type": "object", "properties": {}, "required": ["x"]})}},
        {"inputRequests": {"q": with_field({"type": "object"})}},
        {"inputRequests": {"q": with_field({"type": "string", "pattern": "(a+)+$"})}},
        {"inputRequests": {"q": with_field({"type": "string", "minLength": "many"})}},
        {"inputRequests": {"q": with_field({"$ref": "file:///etc/passwd"})}},
    ],
)
def test_what_is_no_small_form_is_not_asked(result: dict[str, Any]) -> None:
    with pytest.raises(PluginFailure) as caught:
        asked_of("numbers__erase", result)
    assert caught.value.kind is ErrorKind.INVALID_RESULT


@pytest.mark.parametrize(
    ("answer", "fits"),
    [
        (accepted(sure=True), True),
        ({"action": "decline"}, True),
        ({"action": "cancel"}, True),
        ({"action": "accept"}, False),
        (accepted(sure="yes"), False),
        (accepted(), False),
        ({"action": "perhaps"}, False),
        ("yes", False),
        (None, False),
    ],
)
def test_an_answer_is_held_against_its_question(answer: Any, fits: bool) -> None:
    question = asked_of("numbers__erase", {"inputRequests": {"q": a_form()}}).questions["q"]
    assert (question.fault_of(answer) is None) is fits
