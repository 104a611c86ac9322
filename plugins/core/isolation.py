"""Spec 3.1 and 11.1, choice of a tier - decides in which tier a plugin runs on this machine, if in any.

Rules:
- A plugin that names a tier runs in that tier or not at all. One that names none runs in the strongest tier that this
  machine has for a process: `sandbox`, else `fenced` or `contained`, else `trusted`. `wasm` is for plugins that name
  it.
- No tier below `security.lowest_isolation`, unless a person approved the plugin under `security.trusted`.
- Nothing is lowered in silence: a refusal says what is missing and what would mend it, and whoever loads a plugin is
  told the tier that its processes run in.
- Each tier's walls have a file of their own, entered in `BUILDERS`. A builder that cannot build raises, with the fix.
- What a contract asks for and the settings do not give is refused before anything starts, also for a plugin that nobody
  has installed. A relative path is the plugin's own, and always given.

Not here: the walls.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from config.home import Home
from config.settings import SecuritySettings
from domain.calls import ErrorKind
from domain.contracts import PluginContract
from domain.isolation import Isolation, TierOffer
from plugins.core.failures import PluginFailure
from plugins.core.sandbox import Jail, Launch, PlainJail
from plugins.core.wasm.cells import Cells
from plugins.core.wasm.jail import WasmJail

Builder = Callable[[], Jail]

if sys.platform == "win32":
    from plugins.core.windows_jails import contained_jail, container_jail

    WALLS: Mapping[Isolation, Builder] = {Isolation.SANDBOX: container_jail, Isolation.CONTAINED: contained_jail}
else:
    from plugins.core.linux_jails import fenced_jail, sandbox_jail

    WALLS: Mapping[Isolation, Builder] = {Isolation.SANDBOX: sandbox_jail, Isolation.FENCED: fenced_jail}

BUILDERS: Final[Mapping[Isolation, Builder]] = {**WALLS, Isolation.TRUSTED: PlainJail}
"""Who builds the walls of a tier on this system."""

FOR_PROCESSES: Final = (Isolation.SANDBOX, Isolation.FENCED, Isolation.CONTAINED, Isolation.TRUSTED)
"""The tiers that any plugin's process can run in, the strongest first."""


class Machine:
    """What this machine can build, found out once for each tier.

    Args:
        builders: who builds the walls of a tier.
    """

    def __init__(self, builders: Mapping[Isolation, Builder] = BUILDERS) -> None:
        self._builders = builders
        self._built: dict[Isolation, Jail | PluginFailure] = {}

    def jail(self, tier: Isolation) -> Jail:
        """Return the walls of a tier.

        Raises:
            PluginFailure: they cannot be built here; the hint says what would mend it.
        """
        if tier not in self._built:
            self._built[tier] = self._build(tier)
        built = self._built[tier]
        if isinstance(built, PluginFailure):
            raise PluginFailure(built.kind, built.message, hint=built.hint)
        return built

    def offer(self, tier: Isolation) -> TierOffer:
        """Say whether a tier can be built, and if not, what is missing."""
        try:
            self.jail(tier)
        except PluginFailure as failure:
            return TierOffer(tier=tier, available=False, reason=failure.message, fix=failure.hint)
        return TierOffer(tier=tier, available=True)

    def _build(self, tier: Isolation) -> Jail | PluginFailure:
        builder = self._builders.get(tier)
        if builder is None:
            return PluginFailure(ErrorKind.UNAVAILABLE, f"This system has no walls of the tier {tier}.")
        try:
            return builder()
        except PluginFailure as failure:
            return failure


@cache
def this_machine() -> Machine:
    """Return what the machine offers that this process runs on."""
    return Machine()


class ChosenJail:
    """The walls that each plugin is to have, by the house's settings and what the machine offers.

    Args:
        security: what the house accepts.
        machine: what can be built here.
    """

    def __init__(self, security: SecuritySettings, machine: Machine | None = None) -> None:
        self.security = security
        self.machine = machine or this_machine()

    def launch(self, folder: Path, contract: PluginContract, workspace: Path) -> Launch:
        """Return how to start a plugin in the tier that is chosen for it.

        Raises:
            PluginFailure: it may not run, or cannot be walled in as it must.
        """
        if wants := excess(contract, self.security):
            text = f"{contract.name}@{contract.version} asks for more than it may have: {'; '.join(wants)}."
            raise PluginFailure(ErrorKind.UNAVAILABLE, text, hint="A person can give it more, under security.")
        return self.machine.jail(self.tier_of(contract)).launch(folder, contract, workspace)

    def tier_of(self, contract: PluginContract) -> Isolation:
        """Return the tier that a plugin runs in on this machine.

        Raises:
            PluginFailure: there is none that is both allowed and on offer.
        """
        subject, asked = f"{contract.name}@{contract.version}", contract.security_profile.isolation
        approved = bool({contract.name, subject} & set(self.security.trusted))
        lowest = self.security.lowest_isolation
        wanted = FOR_PROCESSES if asked is None else (asked,)
        allowed = [tier for tier in wanted if approved or tier.reaches(lowest)]
        offers = [self.machine.offer(tier) for tier in allowed]
        for offer in offers:
            if offer.available:
                return offer.tier
        missing = [offer.reason for offer in offers]
        if asked is not None and not offers:
            missing = [f"It asks for the tier {asked}, and security.lowest_isolation is {lowest}."]
        fixes = [offer.fix for offer in offers if offer.fix]
        if not approved and (asked is None or not offers):
            fixes.append(f"Approve it as it is: add {subject} to security.trusted.")
        text = f"{subject} has no tier to run in. {' '.join(missing)}"
        raise PluginFailure(ErrorKind.UNAVAILABLE, text, hint=" ".join(fixes))


def chosen_jail(home: Home, security: SecuritySettings) -> ChosenJail:
    """Return the walls of a home's plugins; what the tier `wasm` needs is kept in the home."""
    builders = {**BUILDERS, Isolation.WASM: lambda: WasmJail(Cells(home.cells))}
    return ChosenJail(security, Machine(builders))


def excess(contract: PluginContract, security: SecuritySettings) -> list[str]:
    """Return what a contract asks to touch and the settings do not give, each with the setting that could."""
    profile = contract.security_profile
    reads, writes = security.read_paths, security.write_paths
    found = [f"to read {path} (read_paths)" for path in profile.read_paths if not _given(path, reads)]
    found += [f"to write {path} (write_paths)" for path in profile.write_paths if not _given(path, writes)]
    found += [f"{name} (environment)" for name in profile.environment if name not in security.environment]
    return found + (["processes (subprocess)"] if profile.subprocess and not security.subprocess else [])


def _given(path: str, folders: Sequence[Path]) -> bool:
    """Say whether a path, links followed, lies within one of the folders, or is the plugin's own."""
    place = Path(path).expanduser()
    own = not place.is_absolute() and ".." not in place.parts
    return own or any(place.resolve().is_relative_to(folder.expanduser().resolve()) for folder in folders)
