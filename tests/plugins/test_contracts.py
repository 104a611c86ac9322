"""Which contracts can be kept, and whether a call keeps its own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calls import ErrorKind
from domain.errors import ManifestInvalid
from plugins.core.contracts import MESSAGE_LIMIT, MethodChecks, checks_of, parse_contract
from plugins.core.failures import PluginFailure
from tests.plugins.factories import ADD, ANYTHING, a_manifest, a_method, an_object


def places(manifest: dict[str, Any]) -> list[str]:
    """Return the places a manifest is wrong at."""
    with pytest.raises(ManifestInvalid) as caught:
        parse_contract(manifest, "it")
    errors = caught.value.details["errors"]
    assert isinstance(errors, list)
    return [str(error["path"]) for error in errors if isinstance(error, dict)]


def checks(given_schema: dict[str, Any], result: dict[str, Any] | None = None) -> MethodChecks:
    contract = parse_contract(a_manifest(a_method("try", given_schema, result or ANYTHING)), "it")
    return checks_of(contract)["numbers", "try"]


def refusal(of: MethodChecks, arguments: Any) -> PluginFailure:
    with pytest.raises(PluginFailure) as caught:
        of.check_arguments(arguments)
    return caught.value


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {},
        {"type": "object", "properties": {"a": {"type": "number", "minimum": "low"}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}},
        {"type": "object", "required": "a"},
    ],
)
def test_a_schema_that_is_none_or_not_of_an_object_is_refused(schema: dict[str, Any]) -> None:
    manifest = a_manifest(a_method("wrong", schema, ANYTHING))
    assert all(place.startswith("$.provided_interfaces[0].methods[0].input_schema") for place in places(manifest))


@pytest.mark.parametrize(
    "target",
    [
        "https://example.org/s.json",
        "file:///etc/passwd",
        "other.json",
        "#/$defs/missing",
        "#anchor",
        "#/allOf/9",
        "#/allOf/x",
        "#/required/0",
        "#/properties/a/minimum",
    ],
)
def test_a_reference_to_what_is_no_schema_here_is_refused(target: str) -> None:
    schema = {
        "type": "object",
        "required": [],
        "allOf": [True],
        "properties": {"a": {"minimum": 5}, "b": {"$ref": target}},
    }
    where = "$.provided_interfaces[0].methods[0].input_schema.properties.b.$ref"
    assert places(a_manifest(a_method("wrong", schema, ANYTHING))) == [where]


def test_references_inside_a_schema_are_followed() -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#"}, "size": {"$ref": "#/$defs/size"}}}
    tree["$defs"] = {"size": {"type": "integer"}}
    of = checks(tree)
    of.check_arguments({"next": {"next": {"size": 3}}})
    assert "$.next.next.size" in refusal(of, {"next": {"next": {"size": "x"}}}).message


def test_arguments_nested_without_end_are_refused_and_do_not_break_the_house() -> None:
    arguments: dict[str, Any] = {}
    for _ in range(5_000):
        arguments = {"next": arguments}
    of = checks({"type": "object", "properties": {"next": {"$ref": "#"}}})
    assert refusal(of, arguments).kind is ErrorKind.INVALID_ARGUMENTS


def test_a_schema_that_refers_to_itself_without_end_refuses_every_call() -> None:
    of = checks({"type": "object", "allOf": [{"$ref": "#"}]})
    assert "without end" in refusal(of, {}).message


def test_a_schema_that_breaks_the_validator_refuses_the_call_instead() -> None:
    names = {"minimum": {"type": "string"}, "x": {"$ref": "#/properties"}}
    of = checks({"type": "object", "properties": names})
    assert "cannot be applied" in refusal(of, {"x": 5}).message


def test_a_refusal_names_the_place_and_the_rule_but_never_the_value() -> None:
    of = checks(an_object(mail={"type": "string", "maxLength": 5}, count={"type": "integer"}))
    failure = refusal(of, {"mail": "someone@example.org", "count": 1})
    assert failure.kind is ErrorKind.INVALID_ARGUMENTS
    assert "numbers__try" in failure.message
    assert "$.mail" in failure.message
    assert "maxLength 5" in failure.message
    assert "someone" not in failure.message
    assert "'count' is a required property" in refusal(of, {"mail": "x"}).message


def test_a_refusal_stays_short_however_long_the_place_is() -> None:
    of = checks({"type": "object", "additionalProperties": {"type": "integer"}})
    assert len(refusal(of, {"k" * 1_000_000: "x"}).message) < 3 * MESSAGE_LIMIT


def test_a_result_is_held_to_the_output_schema() -> None:
    of = checks(ANYTHING, an_object(sum={"type": "integer"}))
    of.check_result({"sum": 5})
    with pytest.raises(PluginFailure) as caught:
        of.check_result({"sum": "five"})
    assert caught.value.kind is ErrorKind.INVALID_RESULT


@given(a=st.integers(), b=st.integers(), other=st.one_of(st.none(), st.text(), st.lists(st.integers())))
def test_checking_agrees_with_the_types(a: int, b: int, other: Any) -> None:
    of = checks_of(parse_contract(a_manifest(), "it"))["numbers", "add"]
    of.check_arguments({"a": a, "b": b})
    refusal(of, {"a": a, "b": other})
    refusal(of, {"a": a})
    refusal(of, {"a": a, "b": b, "c": 1})


def test_an_example_must_fit_its_own_method() -> None:
    examples = [{"arguments": {"a": 1}}, {"arguments": {"a": 1, "b": 2}, "result": {"sum": "three"}}]
    path = "$.provided_interfaces[0].methods[0].examples"
    assert places(a_manifest({**ADD, "examples": examples})) == [f"{path}[0]", f"{path}[1]"]


@pytest.mark.parametrize(
    ("check", "place"),
    [
        ({"capability": "numbers"}, "$.health_check"),
        ({"method": "add"}, "$.health_check"),
        ({"capability": "words", "method": "add"}, "$.health_check"),
        ({"capability": "numbers", "method": "add", "arguments": {}}, "$.health_check.arguments"),
        ({"capability": "numbers", "method": "pay", "arguments": {}}, "$.health_check.method"),
    ],
)
def test_a_health_check_must_be_a_call_that_can_be_repeated(check: dict[str, Any], place: str) -> None:
    pay = a_method("pay", ANYTHING, ANYTHING, side_effects="idempotent")
    assert places(a_manifest(ADD, pay, health_check=check)) == [place]


def test_a_data_type_must_be_a_schema_too() -> None:
    manifest = a_manifest()
    manifest["provided_interfaces"][0]["data_types"] = [{"name": "money", "json_schema": {"type": "coin"}}]
    assert places(manifest) == ["$.provided_interfaces[0].data_types[0].type"]
