"""Spec 5.1, progressive exposure - decides which routing table is in force.

Rules:
- A table and everything derived from it form one immutable snapshot; putting another in force is one assignment, so a
  call sees the whole of one table and never half of two.
- Reading it never waits, and never asks the store.
- A method's definition is the control's while the control has the method: a canary changes who answers, not what the
  agent reads. It is its version's contract, which the package's digest pins; a running plugin cannot talk it over.

Not here: loading versions and saving tables (`gateway/swaps.py`).
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from domain.contracts import InterfaceDefinition, MethodSignature, PluginContract, split_tool_name, tool_name
from domain.routing import PluginVersion, Route, RoutingTable, Unit, VariantName
from engines.routing import Router
from gateway.identity import Caller

MIRRORING_KEYWORD: Final = "x-mcp-header"
ContractOf = Callable[[PluginVersion], PluginContract | None]


@dataclass(frozen=True)
class RoutedTool:
    """One method of a routed capability.

    Attributes:
        signatures: the method in each version that has it.
    """

    route: Route
    method: str
    signatures: Mapping[VariantName, MethodSignature]

    @cached_property
    def name(self) -> str:
        """Its name as the agent calls it."""
        return tool_name(self.route.capability, self.method)

    @cached_property
    def mirrors_arguments(self) -> bool:
        """Whether its schema asks for arguments to be repeated in headers."""
        return MIRRORING_KEYWORD in json.dumps(self.shown.input_schema)

    @cached_property
    def converses(self) -> bool:
        """Whether a call of it may ask the person, or tell how far it is."""
        return any(signature.asks or signature.reports_progress for signature in self.signatures.values())

    @cached_property
    def replayable(self) -> bool:
        """Whether its calls can be made again with nobody there to be asked."""
        return self.repeatable and not any(signature.asks for signature in self.signatures.values())

    @cached_property
    def repeatable(self) -> bool:
        """Whether every version that has the method says that it may be repeated."""
        return all(signature.repeatable for signature in self.signatures.values())

    @cached_property
    def shown(self) -> MethodSignature:
        """The definition the agent reads."""
        return self.signatures.get(VariantName.CONTROL) or self.signatures[VariantName.CANDIDATE]

    @cached_property
    def definition(self) -> str:
        """SHA-256 of all that the agent reads of it: the same across a swap unless the swap changes its words."""
        shown = self.shown
        read = [self.name, shown.description, shown.input_schema, shown.output_schema, shown.side_effects]
        return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()

    def open_to(self, caller: Caller) -> bool:
        """Say whether a version that has the method answers this caller."""
        return self.variant_for(caller, "") is not None

    def variant_for(self, caller: Caller, call_id: str) -> VariantName | None:
        """Return which version answers a call, None when the method is not yet open to the caller."""
        if not call_id and self.route.unit is Unit.CALL:
            return self._any_variant()
        chosen = self._router.choose(caller.unit(self.route.unit, call_id), caller.name, caller.hash)
        if chosen is VariantName.CANDIDATE and chosen not in self.signatures:
            chosen = VariantName.CONTROL
        return chosen if chosen in self.signatures else None

    @cached_property
    def _router(self) -> Router:
        return Router(self.route)

    def _any_variant(self) -> VariantName | None:
        """Return a version that some call may reach, for a route that decides anew for every call."""
        if VariantName.CONTROL in self.signatures:
            return VariantName.CONTROL
        return VariantName.CANDIDATE if self.route.share > 0 or self.route.allowed_callers else None


@dataclass(frozen=True)
class Snapshot:
    """One table in force.

    Attributes:
        tools: by name, in the order in which they are listed.
        unread: capabilities of which some version's contract cannot be read, so that tools may be missing.
        fingerprint: the same while every agent's list of tools is.
    """

    table: RoutingTable = field(default_factory=RoutingTable)
    tools: Mapping[str, RoutedTool] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    fingerprint: str = ""

    @classmethod
    def of(cls, table: RoutingTable, contract_of: ContractOf) -> Snapshot:
        """Derive the tools of a table.

        Args:
            table: the routes.
            contract_of: the contract of a version, None if it cannot be read.
        """
        routed = [tool for name in sorted(table.routes) for tool in _tools_of(table.routes[name], contract_of)]
        tools = {tool.name: tool for tool in routed}
        unread = {name for name, route in table.routes.items() if None in map(contract_of, route.versions)}
        return cls(table=table, tools=tools, unread=frozenset(unread), fingerprint=_fingerprint(tools))

    def may_have(self, name: str) -> bool:
        """Say whether a tool that is not there, or not in some version, may be one whose contract cannot be read."""
        split = split_tool_name(name)
        return split is not None and split[0] in self.unread

    def listed(self, caller: Caller) -> Iterator[RoutedTool]:
        """Yield the tools that are open to a caller, in a fixed order."""
        return (tool for tool in self.tools.values() if tool.open_to(caller))

    def closest(self, name: str, caller: Caller, count: int = 3) -> list[str]:
        """Return the names most like one that does not exist, best first."""
        known = {tool.name: tool.name for tool in self.listed(caller)}
        split = split_tool_name(name)
        by_method = [tool for tool in known if split and tool.endswith(f"__{split[1]}")]
        similar = difflib.get_close_matches(name, known, n=count, cutoff=0.5)
        return list(dict.fromkeys([*similar, *by_method]))[:count]


class CurrentTable:
    """The snapshot in force."""

    def __init__(self) -> None:
        self.now = Snapshot()

    def switch(self, snapshot: Snapshot) -> bool:
        """Put a snapshot in force and say whether the tools that agents see are others than before."""
        before, self.now = self.now, snapshot
        return before.fingerprint != snapshot.fingerprint


def _tools_of(route: Route, contract_of: ContractOf) -> Iterator[RoutedTool]:
    interfaces = {variant: _interface(route, variant, contract_of) for variant in VariantName}
    methods = {m.name: m for interface in interfaces.values() if interface for m in interface.methods}
    for name in sorted(methods):
        found = {variant: interface.method(name) for variant, interface in interfaces.items() if interface}
        yield RoutedTool(route, name, {variant: method for variant, method in found.items() if method})


def _interface(route: Route, variant: VariantName, contract_of: ContractOf) -> InterfaceDefinition | None:
    version = route.version_of(variant)
    contract = contract_of(version) if version else None
    return contract.interface(route.capability) if contract else None


def _fingerprint(tools: Mapping[str, RoutedTool]) -> str:
    """Return a hash of all that decides what some agent's list of tools looks like."""
    seen = [[tool.definition, _openness(tool)] for tool in tools.values()]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def _openness(tool: RoutedTool) -> list[str]:
    """Return what decides who sees the tool, empty when everybody does."""
    if VariantName.CONTROL in tool.signatures:
        return []
    route = tool.route
    who = [*route.allowed_callers, "", *route.population]
    return [str(route.share), route.salt, route.hash_id, route.unit, *who]
