"""Which changes of a method keep its callers, which break them, and which nobody can prove.

Every example is judged by the `jsonschema` library.
"""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from domain.compatibility import Aspect, Breach, Verdict
from domain.contracts import EventDefinition, InterfaceDefinition, MethodSignature, PluginContract, SideEffects
from engines.compatibility import compare_contracts, compare_input, compare_interfaces, compare_output
from tests.engines.schema_changes import INT, NARROWING, NOT_PROVABLE, NUM, STR, WIDENING, Schema, obj, one


def admits(schema: Schema, value: Any) -> bool:
    return Draft202012Validator(schema).is_valid(value)


def test_the_table_is_large_enough_to_mean_something() -> None:
    assert len(WIDENING) + len(NARROWING) + len(NOT_PROVABLE) >= 120


@pytest.mark.parametrize(("name", "old", "new"), WIDENING, ids=[row[0] for row in WIDENING])
def test_an_input_that_widens_keeps_its_callers(name: str, old: Schema, new: Schema) -> None:
    assert compare_input(old, new) == []


@pytest.mark.parametrize(("name", "old", "new"), WIDENING, ids=[row[0] for row in WIDENING])
def test_an_output_that_narrows_keeps_its_callers(name: str, old: Schema, new: Schema) -> None:
    assert compare_output(new, old) == []


@pytest.mark.parametrize(("name", "old", "new", "path", "rule"), NARROWING, ids=[row[0] for row in NARROWING])
def test_an_input_that_narrows_is_a_breach_with_an_example(
    name: str, old: Schema, new: Schema, path: str, rule: str
) -> None:
    breaches = compare_input(old, new)
    assert (path, rule) in {(breach.path, breach.rule) for breach in breaches}
    shown = next(breach for breach in breaches if (breach.path, breach.rule) == (path, rule))
    assert shown.proven, shown.message
    assert admits(old, shown.example)
    assert not admits(new, shown.example)
    assert "accepted before" in shown.message


@pytest.mark.parametrize(("name", "new", "old", "path", "rule"), NARROWING, ids=[row[0] for row in NARROWING])
def test_an_output_that_widens_is_a_breach_with_an_example(
    name: str, old: Schema, new: Schema, path: str, rule: str
) -> None:
    shown = next(breach for breach in compare_output(old, new) if (breach.path, breach.rule) == (path, rule))
    assert shown.proven
    assert admits(new, shown.example)
    assert not admits(old, shown.example)
    assert "may be given now" in shown.message


@pytest.mark.parametrize(("name", "old", "new", "rule"), NOT_PROVABLE, ids=[row[0] for row in NOT_PROVABLE])
def test_what_cannot_be_proved_is_said_to_be_unproven(name: str, old: Schema, new: Schema, rule: str) -> None:
    breaches = compare_input(old, new)
    assert [breach.rule for breach in breaches if not breach.proven] == [rule]
    assert all(breach.proven is False for breach in breaches)
    assert "could not be proved" in breaches[0].message


def test_every_breach_is_told_not_only_the_first() -> None:
    old = obj("a", a=NUM, b={"enum": ["x", "y"]})
    new = obj("a", "c", a=INT, b={"enum": ["x"]}, c=STR)
    assert {(breach.path, breach.rule) for breach in compare_input(old, new)} == {
        ("$.a", "type"),
        ("$.b", "enum"),
        ("$", "required"),
    }


def test_an_unproven_place_is_not_shown_by_a_value_that_breaks_another() -> None:
    breaches = compare_input(one(STR), one({**STR, "format": "date", "maxLength": 3}))
    assert {(breach.rule, breach.proven) for breach in breaches} == {("format", False), ("maxLength", True)}


def test_golden_calls_help_to_find_an_example() -> None:
    old, new = one({**STR, "pattern": "^Q[0-9]{4}7$"}), one({**STR, "pattern": "^Q[0-9]{4}8$"})
    assert [breach.proven for breach in compare_input(old, new)] == [False]
    (shown,) = compare_input(old, new, [{"a": "Q12347"}])
    assert shown.example == {"a": "Q12347"}


def test_a_schema_of_endless_alternatives_is_unproven_and_quick() -> None:
    many = {"allOf": [{"anyOf": [{"minimum": n}, {"maximum": -n}]} for n in range(1, 20)]}
    (breach,) = compare_input(one(many), one({**many, "multipleOf": 2}))
    assert not breach.proven


METHOD = MethodSignature(
    name="find", description="Find.", input_schema=one(INT), output_schema=one(INT), side_effects=SideEffects.NONE
)


def an_interface(*methods: MethodSignature, version: str = "1.0.0", events: tuple[EventDefinition, ...] = ()) -> Any:
    return InterfaceDefinition(name="things", version=version, methods=methods or (METHOD,), events=events)


def a_contract(*interfaces: InterfaceDefinition) -> PluginContract:
    return PluginContract(name="p", version="1.0.0", description="P.", provided_interfaces=interfaces)


def changed(**values: Any) -> MethodSignature:
    return METHOD.model_copy(update=values)


def promises(breaches: tuple[Breach, ...]) -> list[str]:
    return [breach.rule for breach in breaches if breach.aspect is Aspect.PROMISE]


def test_a_method_that_is_gone_is_a_breach() -> None:
    change = compare_interfaces(an_interface(METHOD, changed(name="list")), an_interface())
    assert promises(change.breaches) == ["method"]
    assert (change.verdict, change.allowed) == (Verdict.BREAKING, False)


def test_methods_and_events_may_join() -> None:
    event = EventDefinition(name="found", payload_schema=one(INT))
    change = compare_interfaces(an_interface(), an_interface(METHOD, changed(name="list"), events=(event,)))
    assert (change.verdict, change.allowed) == (Verdict.COMPATIBLE, True)


@pytest.mark.parametrize(
    ("before", "after", "broken"),
    [
        (SideEffects.NONE, SideEffects.UNSAFE, True),
        (SideEffects.NONE, SideEffects.IDEMPOTENT, True),
        (SideEffects.IDEMPOTENT, SideEffects.UNSAFE, True),
        (SideEffects.UNSAFE, SideEffects.NONE, False),
    ],
)
def test_what_may_be_repeated_stays_so(before: SideEffects, after: SideEffects, broken: bool) -> None:
    change = compare_interfaces(an_interface(changed(side_effects=before)), an_interface(changed(side_effects=after)))
    assert promises(change.breaches) == (["side_effects"] if broken else [])


def test_a_method_that_begins_to_ask_is_a_breach() -> None:
    asking, silent = an_interface(changed(asks=True)), an_interface()
    assert promises(compare_interfaces(silent, asking).breaches) == ["asks"]
    assert promises(compare_interfaces(asking, silent).breaches) == []


def test_an_event_is_something_given() -> None:
    old = an_interface(events=(EventDefinition(name="found", payload_schema=one(INT)),))
    wider = an_interface(events=(EventDefinition(name="found", payload_schema=one(NUM)),))
    (breach,) = compare_interfaces(old, wider).breaches
    assert (breach.aspect, breach.member, breach.path) == (Aspect.EVENT, "found", "$.a")
    assert compare_interfaces(wider, old).breaches == ()
    assert promises(compare_interfaces(old, an_interface()).breaches) == ["event"]


def test_words_examples_and_time_limits_are_free() -> None:
    after = changed(description="Other words.", timeout_seconds=99, examples=())
    assert compare_interfaces(an_interface(), an_interface(after)).verdict is Verdict.COMPATIBLE


def test_a_new_major_version_of_the_interface_may_break_and_says_how() -> None:
    after = an_interface(changed(input_schema=one(STR)), version="2.0.0")
    result = compare_contracts(a_contract(an_interface()), a_contract(after))
    assert result.allowed
    assert result.breaches == ()
    assert result.changes[0].breaches[0].path == "$.a"
    assert result.verdict is Verdict.BREAKING


def test_a_capability_that_is_gone_breaks_a_plugin_unless_nobody_asked_about_it() -> None:
    other = InterfaceDefinition(name="others", version="1.0.0", methods=(METHOD,))
    old, new = a_contract(an_interface(), other), a_contract(an_interface())
    assert promises(compare_contracts(old, new).breaches) == ["capability"]
    assert compare_contracts(old, new, ["things"]).allowed


def test_a_breach_reads_as_a_sentence() -> None:
    (breach,) = compare_interfaces(
        an_interface(), an_interface(changed(input_schema=one({**INT, "maximum": 5})))
    ).breaches
    assert str(breach) == (
        "things.find, input $.a: accepted before, may be refused now: the new version says it must be at most 5."
    )
