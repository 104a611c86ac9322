"""Spec 3.1, registration - decides what is told of a plugin's way into the house.

Rules:
- Five phases, in this order: contract, security, dependencies, sandbox, lifecycle.
- The first phase that fails ends the way, with every fault of that phase; nothing of the plugin is left running.
- A refusal is a value, not an exception.

Not here: the phases' work (`activities/registration.py`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, JsonValue

from domain.base import Model, Moment
from domain.plugins import Standing
from domain.routing import PluginVersion


class RegistrationPhase(StrEnum):
    """The five phases of 3.1."""

    CONTRACT = "contract"
    SECURITY = "security"
    DEPENDENCIES = "dependencies"
    SANDBOX = "sandbox"
    LIFECYCLE = "lifecycle"


class RegistrationFault(Model):
    """One thing that a phase objects to.

    Attributes:
        path: the place, in the manifest or among the package's files; empty when the whole is meant.
        rule: what is broken, in a word.
        example: a value that shows it, where there is one.
    """

    path: str = ""
    rule: str
    message: str
    example: JsonValue = None


class PhaseReport(Model):
    """How one phase went.

    Attributes:
        faults: why it failed; none when it passed.
        warnings: what a person ought to read all the same.
    """

    phase: RegistrationPhase
    passed: bool
    seconds: float = Field(ge=0)
    faults: tuple[RegistrationFault, ...] = ()
    warnings: tuple[str, ...] = ()


class RegistrationResult(Model):
    """How a registration ended.

    Attributes:
        plugin_id: `name@version`; None when not even that could be read.
        version: what was registered, or would have been.
        tools: the tools it answers to, once it is registered.
    """

    passed: bool
    plugin_id: str | None = None
    version: PluginVersion | None = None
    tools: tuple[str, ...] = ()
    phases: tuple[PhaseReport, ...]

    @property
    def failed_phase(self) -> RegistrationPhase | None:
        """The phase that ended the way, None when none did."""
        return next((report.phase for report in self.phases if not report.passed), None)

    @property
    def faults(self) -> tuple[RegistrationFault, ...]:
        """Every fault of the phase that failed."""
        return tuple(fault for report in self.phases for fault in report.faults)

    @property
    def summary(self) -> str:
        """One line for a person."""
        if self.failed_phase is None:
            return f"{self.plugin_id} is registered."
        told = " ".join(fault.message for fault in self.faults)
        return f"{self.plugin_id or 'The package'} is refused in the phase {self.failed_phase}: {told}"


class PluginMetadata(Model):
    """What the plugin registry remembers of a version beside its package; `metadata/` of 3.3."""

    version: PluginVersion
    registered_at: Moment
    registered_by: str
    source: str = ""
    tools: tuple[str, ...] = ()
    phases: tuple[PhaseReport, ...] = ()


class IndexedPlugin(Model):
    """A version as the plugin registry lists it; one row of `index.json` of 3.3."""

    id: str
    version: PluginVersion
    standing: Standing | None
    capabilities: tuple[str, ...]
    description: str
    size_bytes: int = Field(ge=0)
    registered_at: Moment | None = None
