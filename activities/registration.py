"""Spec 3.1, PluginArchitecture.register_plugin - decides whether a plugin gets a place in the house.

    contract      the package can be read, its contract can be kept, and callers of what it replaces are kept
    security      the five checks of 11.1
    dependencies  every plugin and interface it needs is there or on offer
    sandbox       copied by content, started in its own process behind its walls, warmed up, healthy
    lifecycle     it stands in the plugin folders, in the registry and in the store

Rules:
- The phases run in this order, and the first that fails is the last; it tells every fault it found.
- What was checked is what runs: from the first phase on, the content is known by its digest.
- Whatever fails after the plugin was started puts it down again; only a version that was up before stays up.
- What cannot be proved of an interface is a fault, unless a person has said that it may pass.

Not here: giving it callers (`plugins/core/strategies.py`, `workflows/rollout.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from domain.compatibility import Breach, Verdict
from domain.contracts import InterfaceDefinition, PluginPackage
from domain.dependencies import DependencyResolution, ResolutionStatus
from domain.errors import InvalidInput, ManifestInvalid, UpgradeLoopError
from domain.plugins import LoadReport, UnloadReport
from domain.registration import (
    PhaseReport,
    PluginMetadata,
    RegistrationFault,
    RegistrationPhase,
    RegistrationResult,
)
from domain.routing import PluginVersion
from domain.security import SecurityPolicy
from engines.compatibility import compare_interfaces
from engines.dependencies import resolve
from engines.security import verify
from plugins.core.catalogue import Catalogue
from plugins.core.folders import PluginFolders
from plugins.core.packages import PackageStore, read_package
from store.database import Store

ERROR = "error"
LOOKING = (RegistrationPhase.CONTRACT, RegistrationPhase.SECURITY, RegistrationPhase.DEPENDENCIES)
"""The phases that start nothing."""
Faults = list[RegistrationFault]


class Runner(Protocol):
    """What starts plugins: a gateway's admin port, or a host of one's own."""

    async def load(self, version: PluginVersion) -> LoadReport:
        """Bring a version up."""

    async def unload(self, digest: str) -> UnloadReport:
        """Put a version down."""


@dataclass(frozen=True)
class Desk:
    """What a registration works with.

    Attributes:
        policy: what the house allows.
        market: packages on offer, for what the plugin needs.
        runner: starts it.
    """

    packages: PackageStore
    folders: PluginFolders
    catalogue: Catalogue
    store: Store
    policy: SecurityPolicy
    market: Sequence[PluginPackage]
    runner: Runner


@dataclass(frozen=True)
class Occasion:
    """Who registers, when, and on whose account.

    Attributes:
        subject: what the audit entry is about; the plugin itself when empty.
        accept_unproven: whether a person lets pass what cannot be proved of an interface.
    """

    at: datetime
    actor: str
    source: str = ""
    subject: str = ""
    accept_unproven: bool = False


async def register(desk: Desk, folder: Path, occasion: Occasion) -> RegistrationResult:
    """Register the plugin of a package folder; it has no callers afterwards.

    Returns:
        What was registered, or every fault of the phase that refused it.

    Raises:
        ServiceUnreachable: the gateway or the store does not answer.
    """
    return await _Registration(desk, folder, occasion).carry_out()


async def examine(desk: Desk, folder: Path, occasion: Occasion) -> RegistrationResult:
    """Go through the phases that start nothing, and leave no trace: whether a registration would get to the sandbox."""
    return await _Registration(desk, folder, occasion).look()


class _Registration:
    """One plugin's way through the five phases."""

    def __init__(self, desk: Desk, folder: Path, occasion: Occasion) -> None:
        self._desk = desk
        self._folder = folder
        self._occasion = occasion
        self._package: PluginPackage | None = None
        self._report: LoadReport | None = None
        self._warnings: list[str] = []
        self._done: list[PhaseReport] = []
        self._work: Mapping[RegistrationPhase, Callable[[], Awaitable[Faults]]] = {
            RegistrationPhase.CONTRACT: self._contract,
            RegistrationPhase.SECURITY: self._security,
            RegistrationPhase.DEPENDENCIES: self._dependencies,
            RegistrationPhase.SANDBOX: self._sandbox,
            RegistrationPhase.LIFECYCLE: self._lifecycle,
        }

    async def look(self) -> RegistrationResult:
        """Go through the phases that start nothing."""
        for phase in LOOKING:
            if not await self._passed(phase):
                break
        return self._result()

    async def carry_out(self) -> RegistrationResult:
        """Go through all phases."""
        try:
            for phase in RegistrationPhase:
                if not await self._passed(phase):
                    break
        except UpgradeLoopError:
            await self._take_back()
            raise
        result = self._result()
        if not result.passed:
            await self._take_back()
        await asyncio.to_thread(self._remember, result)
        return result

    async def _passed(self, phase: RegistrationPhase) -> bool:
        started = time.perf_counter()
        faults = await self._work[phase]()
        self._done.append(
            PhaseReport(
                phase=phase,
                passed=not faults,
                seconds=time.perf_counter() - started,
                faults=tuple(faults),
                warnings=tuple(self._warnings),
            )
        )
        self._warnings.clear()
        return not faults

    async def _contract(self) -> Faults:
        try:
            self._package = await asyncio.to_thread(read_package, self._folder)
        except ManifestInvalid as wrong:
            return _listed(wrong)
        return await asyncio.to_thread(lambda: [*self._taken_name(), *self._broken_promises()])

    def _taken_name(self) -> Iterator[RegistrationFault]:
        """Yield a fault if another content has the same name and version: a version once given never changes."""
        for row in self._desk.catalogue.entries():
            if row.id == self._of.id and row.version.digest != self._of.digest and row.standing is not None:
                said = f"{row.id} is here already with other content ({row.version.digest[:12]})."
                yield RegistrationFault(path="$.version", rule="version", message=f"{said} Give it a new version.")

    def _broken_promises(self) -> Iterator[RegistrationFault]:
        """Yield what callers of the versions in force would lose."""
        for old in self._interfaces_in_force():
            change = compare_interfaces(old, self._of.contract.interface(old.name))
            unproven = change.verdict is Verdict.UNPROVEN
            if change.allowed or (unproven and self._occasion.accept_unproven):
                self._warnings += map(str, change.breaches)
            else:
                hint = f" Give the interface {old.name} a new major version, or keep its callers."
                yield from (_of_breach(breach, hint) for breach in change.breaches)

    def _interfaces_in_force(self) -> Iterator[InterfaceDefinition]:
        routes = self._desk.store.routes.load().routes
        for name in self._of.contract.capabilities:
            route = routes.get(name)
            if route is None or route.control is None or route.control.digest == self._of.digest:
                continue
            found = self._desk.store.packages.find(route.control.digest)
            interface = found.contract.interface(name) if found else None
            if interface is not None:
                yield interface

    async def _security(self) -> Faults:
        found = await asyncio.to_thread(lambda: verify(self._of, sources_of(self._folder), self._desk.policy))
        findings = [(check.name, finding) for check in found.checks for finding in check.findings]
        self._warnings += [finding.message for _, finding in findings if finding.severity != ERROR]
        return [
            RegistrationFault(
                path=f"{finding.file}:{finding.line}" if finding.file else "",
                rule=f"{name}.{finding.rule}",
                message=finding.message,
            )
            for name, finding in findings
            if finding.severity == ERROR
        ]

    async def _dependencies(self) -> Faults:
        try:
            resolution = await asyncio.to_thread(self._resolve)
        except InvalidInput as wrong:
            return [RegistrationFault(path="$.dependencies", rule="constraint", message=wrong.message)]
        if resolution.status is ResolutionStatus.RESOLVED:
            return []
        return [RegistrationFault(path="$.dependencies", rule=resolution.status, message=resolution.explanation)]

    async def _sandbox(self) -> Faults:
        try:
            await asyncio.to_thread(self._desk.packages.add, self._folder)
            self._report = await self._desk.runner.load(self._version)
        except UpgradeLoopError as failure:
            if failure.exit_code == 3:
                raise
            words = [str(failure.details[key]) for key in ("stderr", "installer") if failure.details.get(key)]
            return [RegistrationFault(rule=failure.code, message="\n".join([failure.message, *words]))]
        return []

    async def _lifecycle(self) -> Faults:
        def stand() -> None:
            self._desk.folders.experiment(self._version)
            self._desk.store.packages.put(self._of, self._occasion.at)

        await asyncio.to_thread(stand)
        return []

    async def _take_back(self) -> None:
        """Put down what this registration has started, if whoever runs it can be reached."""
        if self._report is not None and not self._report.already_loaded:
            with contextlib.suppress(UpgradeLoopError):
                await self._desk.runner.unload(self._version.digest)

    def _resolve(self) -> DependencyResolution:
        installed = [one.contract for one in self._desk.store.packages.list()]
        return resolve(self._of, self._desk.market, installed)

    def _result(self) -> RegistrationResult:
        package = self._package
        return RegistrationResult(
            passed=all(report.passed for report in self._done),
            plugin_id=package.id if package else None,
            version=self._version if package else None,
            tools=self._report.tools if self._report else (),
            phases=tuple(self._done),
        )

    def _remember(self, result: RegistrationResult) -> None:
        """Write down how it ended."""
        occasion = self._occasion
        if result.passed:
            metadata = PluginMetadata(
                version=self._version,
                registered_at=occasion.at,
                registered_by=occasion.actor,
                source=occasion.source,
                tools=result.tools,
                phases=result.phases,
            )
            self._desk.catalogue.record(metadata)
        verb = "registered" if result.passed else "refused"
        subject = occasion.subject or result.plugin_id or str(self._folder)
        digest = result.version.digest if result.version else ""
        self._desk.store.audit.append(
            key=f"{subject}/plugin.{verb}/{digest or occasion.at.isoformat()}",
            at=occasion.at,
            actor=occasion.actor,
            action=f"plugin.{verb}",
            subject=subject,
            detail={
                "plugin": result.plugin_id,
                "digest": digest,
                "phase": result.failed_phase,
                "faults": [fault.message for fault in result.faults],
            },
        )

    @property
    def _of(self) -> PluginPackage:
        assert self._package is not None
        return self._package

    @property
    def _version(self) -> PluginVersion:
        contract = self._of.contract
        return PluginVersion(plugin=contract.name, version=contract.version, digest=self._of.digest)


def sources_of(folder: Path) -> dict[str, str]:
    """Return the text of every Python file of a package that can run, by its path within it."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(folder.rglob("*.py"))
        if not set(path.relative_to(folder).parts[:1]) & {"tests", "docs"} and "__pycache__" not in path.parts
    }


def _listed(wrong: ManifestInvalid) -> Faults:
    errors = wrong.details.get("errors")
    if not isinstance(errors, list):
        return [RegistrationFault(rule=wrong.code, message=wrong.message)]
    return [
        RegistrationFault(path=str(error["path"]), rule=wrong.code, message=str(error["message"]))
        for error in errors
        if isinstance(error, dict)
    ]


def _of_breach(breach: Breach, hint: str) -> RegistrationFault:
    where = f"{breach.capability}.{breach.member} {breach.aspect} {breach.path}"
    rule = f"compatibility.{breach.rule}"
    return RegistrationFault(path=where, rule=rule, message=f"{breach}{hint}", example=breach.example)
