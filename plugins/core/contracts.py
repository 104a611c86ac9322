"""Spec 3.1, contract validation - decides whether a contract can be kept, and whether a call keeps it.

Rules:
- Every input and output schema is a valid JSON Schema (draft 2020-12) of type object and refers to nothing outside.
- Every example fits its method's schemas; the health check names a method that exists and may be repeated.
- All errors of a manifest are told at once, each with its place.
- Schemas are compiled once; checking a call costs microseconds.

Not here: reading files (`packages.py`), comparing two versions' contracts (`engines/`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.exceptions import ValidationError as JsonSchemaFault
from pydantic import JsonValue, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from domain.base import JsonObject
from domain.calls import ErrorKind
from domain.contracts import MethodSignature, PluginContract, tool_name
from domain.errors import ManifestInvalid
from plugins.core.failures import PluginFailure
from plugins.core.shapes import glance_of

_NOTHING_OUTSIDE: Registry[Any] = Registry()
MESSAGE_LIMIT = 300
Fault = tuple[str, str]
"""Where something is wrong, and what."""
DEPTH_LIMIT = 60
"""Levels of a manifest: far more than a person writes, far fewer than the stack holds."""


class MethodChecks:
    """The compiled schemas of one method."""

    def __init__(self, capability: str, method: MethodSignature) -> None:
        self.capability = capability
        self.tool = tool_name(capability, method.name)
        self.method = method
        self._input = _CompiledSchema(method.input_schema)
        self._output = _CompiledSchema(method.output_schema)

    def check_arguments(self, arguments: JsonObject) -> None:
        """Raise PluginFailure `invalid_arguments` when the arguments do not fit the input schema."""
        if (fault := self._input.fault_of(arguments)) is not None:
            raise PluginFailure(ErrorKind.INVALID_ARGUMENTS, f"The arguments of {self.tool} do not fit: {fault}")

    def check_result(self, result: JsonObject) -> None:
        """Raise PluginFailure `invalid_result` when the result does not fit the output schema."""
        if (fault := self._output.fault_of(result)) is not None:
            raise PluginFailure(ErrorKind.INVALID_RESULT, f"The result of {self.tool} does not fit: {fault}")


class _CompiledSchema:
    """One schema: a glance that most values pass, and the whole check that says what is wrong."""

    def __init__(self, schema: JsonObject) -> None:
        self._fits = glance_of(schema)
        self._schema = _compiled(schema)

    def fault_of(self, value: JsonObject) -> str | None:
        """Return the first thing that does not fit, None when all does."""
        if self._fits is not None and self._fits(value):
            return None
        return _first_fault(self._schema, value)


def checks_of(contract: PluginContract) -> dict[tuple[str, str], MethodChecks]:
    """Compile a contract's schemas, by capability and method."""
    return {
        (interface.name, method.name): MethodChecks(interface.name, method)
        for interface in contract.provided_interfaces
        for method in interface.methods
    }


def parse_contract(manifest: JsonValue, source: str, known: Sequence[Fault] = ()) -> PluginContract:
    """Return the contract a manifest states.

    Args:
        manifest: the manifest with every method's schemas filled in.
        source: where it came from, for the message.
        known: faults found before, told together with those found here.

    Raises:
        ManifestInvalid: with every fault in `details["errors"]`, each a `path` and a `message`.
    """
    if _too_deep(manifest):
        raise invalid(source, [*known, ("$", f"is nested deeper than {DEPTH_LIMIT} levels")])
    try:
        contract = PluginContract.model_validate(manifest)
    except ValidationError as error:
        raise invalid(source, [*known, *((_path(fault["loc"]), fault["msg"]) for fault in error.errors())]) from None
    if faults := [*known, *_faults_of(contract)]:
        raise invalid(source, faults)
    return contract


def invalid(source: str, faults: Sequence[Fault]) -> ManifestInvalid:
    """Return the error that lists the faults of a package."""
    listed = "\n".join(f"  {path}: {message}" for path, message in faults)
    return ManifestInvalid(
        f"The plugin package {source} cannot be used:\n{listed}",
        hint="Correct the places named and try again.",
        details={"errors": [{"path": path, "message": message} for path, message in faults]},
    )


def _too_deep(document: JsonValue) -> bool:
    level: list[JsonValue] = [document]
    for _ in range(DEPTH_LIMIT):
        level = [child for node in level for child in _children(node)]
    return bool(level)


def _children(node: JsonValue) -> Iterable[JsonValue]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _path(location: tuple[int | str, ...]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _faults_of(contract: PluginContract) -> Iterator[Fault]:
    for index, interface in enumerate(contract.provided_interfaces):
        for number, method in enumerate(interface.methods):
            path = f"$.provided_interfaces[{index}].methods[{number}]"
            yield from _method_faults(path, interface.name, method)
        for number, event in enumerate(interface.events):
            yield from _schema_faults(f"$.provided_interfaces[{index}].events[{number}]", event.payload_schema)
        for number, data_type in enumerate(interface.data_types):
            yield from _schema_faults(f"$.provided_interfaces[{index}].data_types[{number}]", data_type.json_schema)
    yield from _health_faults(contract)


def schema_faults(path: str, schema: JsonValue) -> Iterator[Fault]:
    """Yield what keeps a document from being the schema of a method's input or output."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        yield path, "must say type: object"
    else:
        yield from _schema_faults(path, schema)


def _method_faults(path: str, capability: str, method: MethodSignature) -> Iterator[Fault]:
    faults = []
    for side, schema in (("input_schema", method.input_schema), ("output_schema", method.output_schema)):
        faults += list(_schema_faults(f"{path}.{side}", schema))
        if schema.get("type") != "object":
            faults.append((f"{path}.{side}", "must say type: object"))
    yield from faults
    if faults:
        return
    checks = MethodChecks(capability, method)
    for number, example in enumerate(method.examples):
        place = f"{path}.examples[{number}]"
        try:
            checks.check_arguments(example.arguments)
            if example.result is not None:
                checks.check_result(example.result)
        except PluginFailure as failure:
            yield place, failure.message


def _schema_faults(path: str, schema: JsonObject) -> Iterator[Fault]:
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        yield path + error.json_path.removeprefix("$"), f"is not a JSON Schema: {error.message[:MESSAGE_LIMIT]}"
        return
    except RecursionError:
        yield path, "is nested too deeply"
        return
    for place, target in _references(schema, path):
        if not target.startswith("#"):
            yield place, f"refers to {target}, which is outside the schema"
        elif not _resolves(schema, target):
            yield place, f"refers to {target}, which is not in the schema"


def _references(node: JsonValue, path: str) -> Iterator[Fault]:
    children: Iterator[tuple[str, JsonValue]]
    if isinstance(node, dict):
        for key in ("$ref", "$dynamicRef", "$id"):
            target = node.get(key)
            if isinstance(target, str):
                yield f"{path}.{key}", target
        children = ((f"{path}.{key}", value) for key, value in node.items())
    elif isinstance(node, list):
        children = ((f"{path}[{index}]", value) for index, value in enumerate(node))
    else:
        return
    for place, child in children:
        yield from _references(child, place)


def _resolves(schema: JsonObject, target: str) -> bool:
    resolver = _NOTHING_OUTSIDE.resolver_with_root(DRAFT202012.create_resource(schema))
    try:
        found: object = resolver.lookup(target).contents
    except (Unresolvable, ValueError):
        return False
    return isinstance(found, dict | bool)


def _health_faults(contract: PluginContract) -> Iterator[Fault]:
    check = contract.health_check
    if check.capability is None and check.method is None:
        return
    interface = contract.interface(check.capability) if check.capability else None
    method = interface.method(check.method) if interface is not None and check.method else None
    if interface is None or method is None:
        yield "$.health_check", "must name a capability and one of its methods, or neither"
        return
    if not method.repeatable:
        yield "$.health_check.method", f"{method.name} has side effects and would be called again and again"
    if not list(_method_faults("$", interface.name, method)):
        try:
            MethodChecks(interface.name, method).check_arguments(check.arguments)
        except PluginFailure as failure:
            yield "$.health_check.arguments", failure.message


def _compiled(schema: JsonObject) -> Draft202012Validator:
    return Draft202012Validator(schema, registry=_NOTHING_OUTSIDE)


def _first_fault(validator: Draft202012Validator, value: JsonObject) -> str | None:
    try:
        fault = next(validator.iter_errors(value), None)
    except RecursionError:
        return "$: it is nested too deeply, or its schema refers to itself without end."
    except Exception:  # a schema from outside makes the validator fail in more ways than can be listed
        return "$: its schema cannot be applied to it."
    return None if fault is None else f"{fault.json_path[:MESSAGE_LIMIT]}: {_rule_of(fault)}."


def _rule_of(fault: JsonSchemaFault) -> str:
    """Name the rule that was broken, never the value that broke it: the text ends up in the ledger."""
    if fault.validator == "required":
        return fault.message[:MESSAGE_LIMIT]
    return f"breaks {fault.validator} {json.dumps(fault.validator_value)[:MESSAGE_LIMIT]}"
