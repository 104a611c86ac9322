"""Spec 10.1 and 11.1, health of an installation - decides what the product needs here, and what of it is missing.

Rules:
- Looking changes nothing: no home is made, no database, no setting.
- Each fact is found out for itself, so that one that is wrong hides no other, and is told with what mends it.
- A tier is there when a plugin has really been started in it, now, by the user who asks. The machine of the tier wasm
  is not built for that.
- A plugin has the tier that it would be given now; beside it stands the one that the running gateway gave it.
- The whole is well when everything is so that the product needs, and every plugin in service has a tier.

Not here: the words on the screen (`worker/commands/doctor.py`), the choice of a tier (`plugins/core/isolation.py`).
"""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.home import Home
from config.settings import SecuritySettings, Settings
from domain.contracts import PluginContract
from domain.errors import GatewayUnreachable, UpgradeLoopError
from domain.isolation import Isolation
from domain.plugins import Standing
from gateway.admin_client import AdminClient
from plugins.core.authoring import TEMPLATE
from plugins.core.catalogue import Catalogue
from plugins.core.folders import PluginFolders
from plugins.core.isolation import FOR_PROCESSES, ChosenJail, chosen_jail
from plugins.core.packages import PackageStore, read_package
from plugins.core.process import PluginProcess
from plugins.core.wasm.jail import WasmJail
from store.connections import look
from worker.addresses import connect
from worker.agents import settings_of
from worker.temporal_server import find_temporal

OLDEST_PYTHON: Final = (3, 11)
PATIENCE_SECONDS: Final = 10.0
NOT_BUILT: Final = "its machine is not built yet"
BUILT_LATER: Final = "It is built once, in about a minute, when the first plugin names the tier."
NO_FIX: Final = "Nothing here mends that; plugins run in the other tiers."
IN_SERVICE: Final = frozenset({Standing.INSTALLED, Standing.EXPERIMENTAL})


@dataclass(frozen=True)
class Fact:
    """One thing that is so, or is not.

    Attributes:
        ok: whether it is as it should be.
        said: what was found.
        fix: what mends it; empty when nothing has to be mended.
        needed: whether the product cannot work without it.
    """

    name: str
    ok: bool
    said: str
    fix: str = ""
    needed: bool = True


@dataclass(frozen=True)
class TierFound:
    """What became of a plugin that was started in a tier.

    Attributes:
        start_ms: how long it took to be ready; None when it did not start.
    """

    tier: Isolation
    start_ms: float | None = None
    reason: str = ""
    fix: str = ""

    @property
    def available(self) -> bool:
        """Whether it started."""
        return self.start_ms is not None


@dataclass(frozen=True)
class PluginFound:
    """The tier of a plugin in service.

    Attributes:
        tier: what it would be given now; None when it could not be started.
        why: what decided that.
        running: what the running gateway gave it; None when it does not run.
    """

    id: str
    tier: Isolation | None
    why: str
    fix: str = ""
    running: Isolation | None = None


@dataclass(frozen=True)
class Health:
    """All that was found."""

    facts: Sequence[Fact]
    tiers: Sequence[TierFound]
    plugins: Sequence[PluginFound]

    @property
    def ok(self) -> bool:
        """Whether the product can work here."""
        return all(fact.ok or not fact.needed for fact in self.facts) and all(one.tier for one in self.plugins)


async def examine(home: Home) -> Health:
    """Look at everything."""
    settings, settings_fact = _settings(home)
    running, gateway_fact = await _gateway(home)
    jail = chosen_jail(home, settings.security)
    tiers = [await _started(jail, tier) for tier in reversed(Isolation)]
    facts = (
        _python(),
        settings_fact,
        _home(home),
        await asyncio.to_thread(_database, home, settings),
        await _temporal(home, settings),
        gateway_fact,
        _isolation(tiers, settings.security),
    )
    return Health(facts, tiers, await asyncio.to_thread(lambda: list(_plugins(home, jail, running))))


def _good(name: str, said: str) -> Fact:
    return Fact(name, ok=True, said=said)


def _told(name: str, failure: UpgradeLoopError) -> Fact:
    return Fact(name, ok=False, said=failure.message, fix=failure.hint)


def _python() -> Fact:
    said = f"Python {platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return _good("python", said)
    return Fact("python", ok=False, said=said, fix=f"Install Python {'.'.join(map(str, OLDEST_PYTHON))} or newer.")


def _settings(home: Home) -> tuple[Settings, Fact]:
    """Return the settings in force, or the defaults to look on with."""
    try:
        return settings_of(home), _good("settings", "can be used")
    except UpgradeLoopError as failure:
        fix = failure.hint or "Mend it there; `upgrade-loop config check FILE` tells whether a file is sound."
        return Settings.model_construct(), Fact("settings", ok=False, said=failure.message, fix=fix)


def _home(home: Home) -> Fact:
    there = next(place for place in (home.root, *home.root.parents) if place.exists())
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return _good("home", str(home.root) if there == home.root else f"{home.root}, not made yet")
    fix = "Name a folder you may write in with --home DIR or UPGRADE_LOOP_HOME."
    return Fact("home", ok=False, said=f"{there} cannot be written", fix=fix)


def _database(home: Home, settings: Settings) -> Fact:
    try:
        place = look(settings.store.url or home.database_url, PATIENCE_SECONDS)
    except UpgradeLoopError as failure:
        return _told("database", failure)
    return _good("database", f"{place} answers" if place else "not made yet")


async def _temporal(home: Home, settings: Settings) -> Fact:
    """Look for the service that is named, else for the program that `up` would start."""
    address = settings.temporal.address
    try:
        if not address:
            return await asyncio.to_thread(_temporal_program, find_temporal())
        async with asyncio.timeout(PATIENCE_SECONDS):
            await connect(home, settings)
    except TimeoutError:
        return Fact("temporal", ok=False, said=f"the service at {address} is silent", fix="See that it runs.")
    except UpgradeLoopError as failure:
        return _told("temporal", failure)
    return _good("temporal", f"the service at {address} answers")


def _temporal_program(program: Path) -> Fact:
    """Let the program say its version."""
    try:
        told = subprocess.run([str(program), "--version"], capture_output=True, timeout=PATIENCE_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Fact("temporal", ok=False, said=f"{program} does not run: {error}", fix="Install it again.")
    return _good("temporal", f"{program}: {told.stdout.decode('utf-8', 'replace').strip()}")


async def _gateway(home: Home) -> tuple[Mapping[str, Isolation], Fact]:
    """Return the tiers that the running gateway gave to its versions, by digest."""
    try:
        async with AdminClient.of(home) as gateway:
            status = await gateway.status()
    except GatewayUnreachable:
        return {}, _good("gateway", "does not run")
    tiers = {one.version.digest: one.isolation for one in status.versions}
    if status.ready:
        return tiers, _good("gateway", "runs and is ready")
    said, fix = f"runs and is not ready: {'; '.join(status.reasons)}", "See logs/gateway.log in the home."
    return tiers, Fact("gateway", ok=False, said=said, fix=fix, needed=False)


async def _started(jail: ChosenJail, tier: Isolation) -> TierFound:
    """Start a plugin in a tier."""
    known = read_package(TEMPLATE).contract
    profile = known.security_profile.model_copy(update={"isolation": tier})
    contract = known.model_copy(update={"security_profile": profile})
    try:
        walls = await asyncio.to_thread(jail.machine.jail, tier)
        if isinstance(walls, WasmJail) and not walls.cells.built:
            return TierFound(tier, reason=NOT_BUILT, fix=BUILT_LATER)
        began = time.perf_counter()
        process = await PluginProcess.start(TEMPLATE, contract, jail=walls)
    except UpgradeLoopError as failure:
        said = str(failure.details.get("stderr", "")).strip().splitlines()
        reason = f"{failure.message} {said[-1]}" if said else failure.message
        return TierFound(tier, reason=reason, fix=failure.hint or NO_FIX)
    taken = (time.perf_counter() - began) * 1_000
    await process.stop(1)
    return TierFound(tier, start_ms=round(taken, 1))


def _isolation(tiers: Sequence[TierFound], security: SecuritySettings) -> Fact:
    """Judge the tiers by what the settings accept."""
    lowest, there = security.lowest_isolation, {one.tier for one in tiers if one.available}
    best = next((tier for tier in FOR_PROCESSES if tier in there and tier.reaches(lowest)), None)
    if best is not None:
        return _good("isolation", f"a plugin that names no tier runs in {best}")
    fixes = [one.fix for one in tiers if one.fix and one.tier in FOR_PROCESSES and one.tier.reaches(lowest)]
    fixes.append("Or approve the plugins you know under security.trusted, by name or name@version.")
    said = f"this machine has no tier that reaches {lowest} (security.lowest_isolation)"
    return Fact("isolation", ok=False, said=said, fix=" ".join(fixes), needed=not security.trusted)


def _plugins(home: Home, jail: ChosenJail, running: Mapping[str, Isolation]) -> Iterator[PluginFound]:
    packages = PackageStore(home.packages)
    for row in Catalogue(home.plugins, packages, PluginFolders(home.plugins)).entries():
        if row.standing in IN_SERVICE:
            now = running.get(row.version.digest)
            try:
                contract = packages.get(row.version.digest).contract
                launch = jail.launch(packages.path(row.version.digest), contract, Path(tempfile.gettempdir()))
                yield PluginFound(row.id, launch.isolation, _why(contract), running=now)
            except UpgradeLoopError as failure:
                yield PluginFound(row.id, None, failure.message, failure.hint, running=now)


def _why(contract: PluginContract) -> str:
    if contract.security_profile.isolation is not None:
        return "its contract names it"
    return "the strongest that this machine has and that the settings give it"
