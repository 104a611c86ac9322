"""Spec 9.1, analysis - decides which package of the registry would remedy a finding.

Rules:
- A running capability is remedied by its own plugin: the newest release above the running one, of the same major
  version unless no other is newer. Pre-releases are never taken.
- A version that lacks a method the running one has, or breaks its interface within a major version, is no remedy: its
  callers would lose it. What is not proved, or allowed by a new major version, is a doubt that the remedy carries.
- Where the contract of either version forbids that two run side by side, the remedy says so.
- A new capability is given to the plugin that has the wanted method, fits the words best and risks least; its newest
  release is taken.
- Between equals the lower name and then the lower digest decide, so that the same market gives the same remedy.

Not here: what the remedy is worth (`engines/estimates.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from domain.compatibility import InterfaceChange, Verdict
from domain.contracts import InterfaceDefinition, PluginContract, PluginPackage
from domain.gaps import CapabilityGap
from domain.opportunities import Landscape, Remedy
from domain.routing import PluginVersion
from engines.compatibility import compare_interfaces
from engines.estimates import risk_of
from engines.words import fit, profile


def newer_version(landscape: Landscape, capability: str, method: str | None = None) -> Remedy | None:
    """Return the remedy for a capability that runs, if the market has one.

    Args:
        landscape: what is installed, routed and on offer.
        capability: what runs badly.
        method: a method that the remedy must have beside those of the running version.
    """
    route = landscape.routes.routes.get(capability)
    if route is None or route.control is None:
        return None
    running = route.control
    needed = _methods(running_contract(landscape, running), capability) | ({method} if method else set())
    better = [
        package
        for package in _successors(landscape, running, capability)
        if needed <= _methods(package.contract, capability)
    ]
    before = running_contract(landscape, running)
    changes = {package.digest: _change(before, package.contract, capability) for package in better}
    kept = [package for package in better if not _breaks(changes[package.digest])]
    same_major = [package for package in kept if package.contract.version.numbers[0] == running.version.numbers[0]]
    best = _newest(same_major or kept)
    if best is None:
        return None
    doubts = tuple(map(str, changes[best.digest].breaches))
    side_by_side = best.contract.hot_swap_safe and (before is None or before.hot_swap_safe)
    remedy = _remedy(capability, best, running)
    return remedy.model_copy(update={"doubts": doubts, "side_by_side": side_by_side})


def _successors(landscape: Landscape, running: PluginVersion, capability: str) -> Iterator[PluginPackage]:
    """Yield the released packages of the running plugin that are newer and still provide the capability."""
    for package in landscape.market:
        contract = package.contract
        newer = contract.version > running.version and not contract.version.prerelease
        if contract.name == running.plugin and newer and contract.interface(capability) is not None:
            yield package


def new_capability(landscape: Landscape, gap: CapabilityGap) -> Remedy | None:
    """Return the package that brings a capability which nothing provides yet, if the market has one."""
    capability = gap.wanted_capability
    route = landscape.routes.routes.get(capability) if capability else None
    if capability is None or (route is not None and route.control is not None):
        return None
    offers = [
        package
        for package in landscape.market
        if capability in package.contract.capabilities and not package.contract.version.prerelease
    ]
    if not offers:
        return None
    asked = frozenset(gap.keywords)

    def rank(package: PluginPackage) -> tuple[bool, float, float, str]:
        lacks = gap.wanted_method is not None and gap.wanted_method not in _methods(package.contract, capability)
        return lacks, -fit(asked, profile(package.contract), {}), risk_of(package, None), package.contract.name

    plugin = min(offers, key=rank).contract.name
    best = _newest([package for package in offers if package.contract.name == plugin])
    return _remedy(capability, best, None) if best else None


def package_of(landscape: Landscape, version: PluginVersion) -> PluginPackage | None:
    """Return the package of a version, from what is installed or on offer."""
    packages = (*landscape.installed, *landscape.market)
    return next((package for package in packages if package.digest == version.digest), None)


def running_contract(landscape: Landscape, version: PluginVersion | None) -> PluginContract | None:
    """Return the contract of a version that runs, if its package is known."""
    found = package_of(landscape, version) if version else None
    return found.contract if found else None


def _change(before: PluginContract | None, after: PluginContract, capability: str) -> InterfaceChange:
    """Return what a package does to a capability; a running version whose contract is not known promised nothing."""
    old, new = before.interface(capability) if before else None, after.interface(capability)
    assert new is not None
    return compare_interfaces(old or new, new)


def _breaks(change: InterfaceChange) -> bool:
    return change.verdict is Verdict.BREAKING and not change.is_new_major


def _methods(contract: PluginContract | None, capability: str) -> set[str]:
    interface: InterfaceDefinition | None = contract.interface(capability) if contract else None
    return {method.name for method in interface.methods} if interface else set()


def _newest(packages: list[PluginPackage]) -> PluginPackage | None:
    ordered = sorted(packages, key=lambda package: package.digest)
    return max(ordered, key=lambda package: package.contract.version, default=None)


def _remedy(capability: str, package: PluginPackage, replaces: PluginVersion | None) -> Remedy:
    contract = package.contract
    return Remedy(
        capability=capability,
        package=PluginVersion(plugin=contract.name, version=contract.version, digest=package.digest),
        replaces=replaces,
        summary=contract.release_notes or contract.description,
    )
