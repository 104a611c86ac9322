"""Spec 3.2, interface compatibility - decides whether a new version keeps what the old one promised.

Rules:
- Input: whatever the old version accepted, the new one accepts. Output and events: whatever the new version gives, the
  old one might have given.
- A method, an event or a capability does not disappear; what may be repeated stays so, and what answered without
  asking the person goes on to.
- Descriptions, examples, time limits and comparators are free.
- Within a major version of the interface all this holds; a new major version is another interface.

Not here: comparing two schemas (`engines/subschemas.py`), what follows from a breach (`engines/remedies.py`,
`activities/registration.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from domain.base import JsonObject
from domain.compatibility import Aspect, Breach, Compatibility, InterfaceChange, Verdict
from domain.contracts import InterfaceDefinition, MethodSignature, PluginContract, SideEffects
from engines.subschemas import differences

_STRICTER: Final = (SideEffects.NONE, SideEffects.IDEMPOTENT, SideEffects.UNSAFE)
"""From the promise that callers can rely on most to the one they can rely on least."""

_SAYS: Final = {
    Aspect.INPUT: ("accepted before, may be refused now", "the new version says it"),
    Aspect.OUTPUT: ("may be given now, not allowed before", "the old version says it"),
    Aspect.EVENT: ("may be told now, not allowed before", "the old version says it"),
}


def compare_contracts(old: PluginContract, new: PluginContract, capabilities: Sequence[str] = ()) -> Compatibility:
    """Compare what two versions of a plugin provide.

    Args:
        old: the version whose callers are to be kept.
        new: the version that would take over.
        capabilities: the ones that matter; all that the old version provides when none is named.
    """
    named = [one for one in old.provided_interfaces if not capabilities or one.name in capabilities]
    return Compatibility(changes=tuple(compare_interfaces(one, new.interface(one.name)) for one in named))


def compare_interfaces(old: InterfaceDefinition, new: InterfaceDefinition | None) -> InterfaceChange:
    """Compare two versions of one interface; None is one that is gone."""
    if new is None:
        gone = _broken(old, "", "capability", f"{old.name} is not provided any more")
        return InterfaceChange(
            capability=old.name, before=old.version, after=None, verdict=Verdict.BREAKING, breaches=(gone,)
        )
    breaches = (*_method_breaches(old, new), *_event_breaches(old, new))
    return InterfaceChange(
        capability=old.name,
        before=old.version,
        after=new.version,
        verdict=_verdict(breaches),
        breaches=breaches,
    )


def compare_input(old: JsonObject, new: JsonObject, hints: Sequence[object] = ()) -> list[Breach]:
    """Return why arguments that fitted `old` may not fit `new`."""
    return list(_schema_breaches("", "", Aspect.INPUT, (old, new), hints))


def compare_output(old: JsonObject, new: JsonObject, hints: Sequence[object] = ()) -> list[Breach]:
    """Return why results that fit `new` may not have fitted `old`."""
    return list(_schema_breaches("", "", Aspect.OUTPUT, (new, old), hints))


def _verdict(breaches: Sequence[Breach]) -> Verdict:
    if any(breach.proven for breach in breaches):
        return Verdict.BREAKING
    return Verdict.UNPROVEN if breaches else Verdict.COMPATIBLE


def _method_breaches(old: InterfaceDefinition, new: InterfaceDefinition) -> Iterator[Breach]:
    for before in old.methods:
        after = new.method(before.name)
        if after is None:
            yield _broken(old, before.name, "method", f"{before.name} is gone")
            continue
        if _STRICTER.index(after.side_effects) > _STRICTER.index(before.side_effects):
            said = f"its side effects were {before.side_effects} and are {after.side_effects} now"
            yield _broken(old, before.name, "side_effects", said)
        if after.asks and not before.asks:
            yield _broken(old, before.name, "asks", "it did not ask the person before it answers, and may do so now")
        hints = _hints(before, after)
        given = (before.input_schema, after.input_schema)
        yield from _schema_breaches(old.name, before.name, Aspect.INPUT, given, hints)
        gives = (after.output_schema, before.output_schema)
        yield from _schema_breaches(old.name, before.name, Aspect.OUTPUT, gives, hints)


def _event_breaches(old: InterfaceDefinition, new: InterfaceDefinition) -> Iterator[Breach]:
    told = {event.name: event for event in new.events}
    for before in old.events:
        after = told.get(before.name)
        if after is None:
            yield _broken(old, before.name, "event", f"the event {before.name} is not told any more")
        else:
            schemas = (after.payload_schema, before.payload_schema)
            yield from _schema_breaches(old.name, before.name, Aspect.EVENT, schemas, ())


def _schema_breaches(
    capability: str, member: str, aspect: Aspect, schemas: tuple[JsonObject, JsonObject], hints: Sequence[object]
) -> Iterator[Breach]:
    """Yield the breaches of one pair of schemas, the one whose values must fit first."""
    what, who = _SAYS[aspect]
    for found in differences(*schemas, hints):
        doubt = "" if found.proven else " This could not be proved, and no example was found."
        yield Breach(
            capability=capability,
            member=member,
            aspect=aspect,
            path=found.path,
            rule=found.rule,
            message=f"{what}: {who} {found.message}.{doubt}",
            proven=found.proven,
            example=found.example,
        )


def _hints(before: MethodSignature, after: MethodSignature) -> list[object]:
    """Return values that are known to be used, from the golden calls of both versions."""
    examples = (*before.examples, *after.examples)
    return [value for example in examples for value in (example.arguments, example.result) if value]


def _broken(interface: InterfaceDefinition, member: str, rule: str, message: str) -> Breach:
    return Breach(
        capability=interface.name, member=member, aspect=Aspect.PROMISE, rule=rule, message=f"{message}.", proven=True
    )
