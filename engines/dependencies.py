"""Spec 6.1, dependency resolution - decides which versions of which plugins a package needs, and in which order.

Rules:
- The search goes newest first and goes back when a choice leads nowhere, so that the first solution found is returned.
- A required interface is provided by any plugin whose interface is within the range; names decide between equals.
- A requirement that no package answers by name is NOT_FOUND; one that no version satisfies, or a circle, is a CONFLICT.
  Either is explained by the requirement that stopped the search nearest to a solution.
- The order of installation puts every plugin after those it needs.
- The search gives up after a fixed number of attempts and says so; it never runs for ever.

Not here: ranges (`engines/constraints.py`), fetching packages (`activities/dependencies.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Final, NamedTuple

from domain.contracts import PluginContract, PluginPackage
from domain.dependencies import DependencyResolution, ResolutionStatus
from engines.constraints import satisfies

ATTEMPTS: Final = 20_000

Chosen = Mapping[str, PluginContract]
"""The plugins chosen so far, by name."""


class _Need(NamedTuple):
    """One requirement: of a plugin by its name, or of an interface from whichever plugin."""

    by: str
    name: str
    constraint: str
    interface: bool

    def __str__(self) -> str:
        kind = "interface " if self.interface else ""
        return f"{self.by} needs {kind}{self.name} {self.constraint}"

    def met_by(self, contract: PluginContract) -> bool:
        if not self.interface:
            return contract.name == self.name and satisfies(contract.version, self.constraint)
        provided = contract.interface(self.name)
        return provided is not None and satisfies(provided.version, self.constraint)


class _Failure(NamedTuple):
    """Why a branch of the search ended, and how many plugins had been chosen by then."""

    depth: int
    status: ResolutionStatus
    explanation: str


def resolve(
    package: PluginPackage, market: Sequence[PluginPackage], installed: Sequence[PluginContract] = ()
) -> DependencyResolution:
    """Resolve what a package needs.

    Args:
        package: what is to be installed; its own version is fixed.
        market: packages that could be installed beside it.
        installed: plugins that run already.

    Returns:
        Versions by plugin name and the order to install them, or the reason why there are none.

    Raises:
        InvalidInput: a constraint is no version range.
    """
    return _Search([other.contract for other in market] + list(installed)).run(package.contract)


class _Search:
    """One depth-first search; remembers only the failure to tell."""

    def __init__(self, contracts: Sequence[PluginContract]) -> None:
        newest_first = sorted(contracts, key=lambda contract: contract.version, reverse=True)
        self._contracts = sorted(newest_first, key=lambda contract: contract.name)
        self._attempts = 0
        self._failure = _Failure(-1, ResolutionStatus.CONFLICT, "")

    def run(self, root: PluginContract) -> DependencyResolution:
        chosen = self._extend({root.name: root}, list(_needs(root)))
        if chosen is None:
            return DependencyResolution(status=self._failure.status, explanation=self._failure.explanation)
        order = tuple(_sorter(chosen).static_order())
        versions = {name: chosen[name].version for name in order}
        needed = ", ".join(f"{name}@{versions[name]}" for name in order if name != root.name)
        return DependencyResolution(
            status=ResolutionStatus.RESOLVED,
            assignments=versions,
            install_order=order,
            explanation=f"{root.name}@{root.version} needs {needed or 'nothing else'}.",
        )

    def _extend(self, chosen: Chosen, needs: Sequence[_Need]) -> Chosen | None:
        """Return the choice completed, or None when these needs cannot be met with it."""
        self._attempts += 1
        if self._attempts > ATTEMPTS:
            self._failure = _Failure(len(chosen), ResolutionStatus.CONFLICT, f"No answer after {ATTEMPTS} attempts.")
            return None
        if not needs:
            return self._without_circle(chosen)
        need, rest = needs[0], needs[1:]
        held = self._held(chosen, need)
        if held is not None:
            if need.met_by(held):
                return self._extend(chosen, rest)
            self._fail(chosen, need, held)
            return None
        for candidate in self._candidates(chosen, need):
            found = self._extend({**chosen, candidate.name: candidate}, [*rest, *_needs(candidate)])
            if found is not None or self._attempts > ATTEMPTS:
                return found
        self._fail(chosen, need, None)
        return None

    def _held(self, chosen: Chosen, need: _Need) -> PluginContract | None:
        """Return the chosen plugin that answers for a need already, well or badly."""
        if not need.interface:
            return chosen.get(need.name)
        providers = [contract for contract in chosen.values() if contract.interface(need.name)]
        return next((provider for provider in providers if need.met_by(provider)), None)

    def _candidates(self, chosen: Chosen, need: _Need) -> Iterator[PluginContract]:
        return (each for each in self._contracts if each.name not in chosen and need.met_by(each))

    def _fail(self, chosen: Chosen, need: _Need, held: PluginContract | None) -> None:
        """Remember why a branch ended if none got further."""
        offers = [
            each for each in self._contracts if need.name in ({*each.capabilities} if need.interface else {each.name})
        ]
        if held is not None:
            status = ResolutionStatus.CONFLICT
            reason = f"but {held.name}@{held.version} was chosen for the needs before it"
        elif offers:
            status = ResolutionStatus.CONFLICT
            reason = "but there is only " + ", ".join(f"{each.name}@{each.version}" for each in offers)
        else:
            status = ResolutionStatus.NOT_FOUND
            reason = "and no package of the registry provides it"
        self._note(_Failure(len(chosen), status, f"{need}, {reason}."))

    def _without_circle(self, chosen: Chosen) -> Chosen | None:
        try:
            _sorter(chosen).prepare()
        except CycleError as error:
            path = " -> ".join(reversed(error.args[1]))
            self._note(
                _Failure(len(chosen), ResolutionStatus.CONFLICT, f"Plugins need each other in a circle: {path}.")
            )
            return None
        return chosen

    def _note(self, failure: _Failure) -> None:
        if failure.depth > self._failure.depth:
            self._failure = failure


def _needs(contract: PluginContract) -> Iterator[_Need]:
    by = f"{contract.name}@{contract.version}"
    for name, constraint in sorted(contract.dependencies.items()):
        yield _Need(by, name, constraint, interface=False)
    for required in contract.required_interfaces:
        yield _Need(by, required.name, required.constraint, interface=True)


def _sorter(chosen: Chosen) -> TopologicalSorter[str]:
    """Return the graph of the chosen plugins, each after those it needs, names in order."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name in sorted(chosen):
        needs = list(_needs(chosen[name]))
        providers = {other for other in sorted(chosen) for need in needs if need.met_by(chosen[other])}
        sorter.add(name, *sorted(providers - {name} if any(need.interface for need in needs) else providers))
    return sorter
