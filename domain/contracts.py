"""Spec 3.2, plugin contract - decides what a plugin must say about itself before it may run.

Rules:
- A plugin provides interfaces; an interface's name is the capability its callers see.
- A method's tool name is `<capability>__<method>`, at most 64 characters, no dots.
- What a plugin does not declare it does not get: no files, no network, no environment, no child processes.
- Only a method with `side_effects="none"` may be replayed or answered by another version; an idempotent one may be
  asked again of the same version.
- A plugin is a Python file that the house's runtime serves, or a foreign MCP stdio server that `command` starts.

Not here: reading a package from disk, and checking a call against the schemas (`plugins/core/`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from domain.base import JsonObject, Model
from domain.comparators import Comparator, ResultPath, agree
from domain.isolation import Isolation
from domain.network import HOST_PATTERN
from domain.versions import SemanticVersion

NAME_PATTERN = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
TOOL_NAME_LIMIT = 64

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=40)]
"""A plugin, capability or method name: lower case words joined by single underscores."""


NetworkHost = Annotated[str, Field(pattern=HOST_PATTERN, max_length=260)]
"""`host:port`, or `host` alone for port 443; an IPv6 address stands in brackets."""


class SideEffects(StrEnum):
    """What calling a method twice would do."""

    NONE = "none"
    IDEMPOTENT = "idempotent"
    UNSAFE = "unsafe"


class WireProtocol(StrEnum):
    """The generation of MCP that a foreign server speaks; `auto` finds out by asking."""

    AUTO = "auto"
    MODERN = "2026-07-28"
    LEGACY = "2025-11-25"


class Example(Model):
    """A golden call: arguments, and the result they must give when one is stated."""

    arguments: JsonObject
    result: JsonObject | None = None


class MethodSignature(Model):
    """One method of an interface: JSON Schema in, JSON Schema out.

    Attributes:
        comparator: how two versions' answers to the same call are compared.
        tolerance: the relative difference that `numeric` takes for none.
        volatile: parts of a result that differ from call to call and are not compared.
        asks: whether the method may put questions to the person before it answers.
        reports_progress: whether the method tells how far it is.
        tool: what a foreign server calls the method; `<capability>__<method>` when not given.
    """

    name: Name
    description: str = Field(min_length=1)
    input_schema: JsonObject
    output_schema: JsonObject
    side_effects: SideEffects = SideEffects.UNSAFE
    comparator: Comparator = Comparator.EXACT
    tolerance: float = Field(default=1e-9, ge=0, lt=1)
    volatile: tuple[ResultPath, ...] = ()
    timeout_seconds: float = Field(default=10.0, gt=0, le=600)
    examples: tuple[Example, ...] = ()
    asks: bool = False
    reports_progress: bool = False
    tool: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_./-]{1,128}$")

    @property
    def repeatable(self) -> bool:
        """Whether the method may be called again, replayed, or answered by another version."""
        return self.side_effects is SideEffects.NONE

    @property
    def retryable(self) -> bool:
        """Whether a call whose answer was lost may be made again, of the same version."""
        return self.side_effects is not SideEffects.UNSAFE

    def agree(self, before: JsonObject, after: JsonObject) -> bool:
        """Say whether two results of the same call count as the same."""
        return agree(self.comparator, before, after, tolerance=self.tolerance, volatile=self.volatile)


class EventDefinition(Model):
    """An event a plugin may emit."""

    name: Name
    description: str = ""
    payload_schema: JsonObject = Field(default_factory=dict)


class TypeDefinition(Model):
    """A named data type shared by methods of an interface."""

    name: Name
    json_schema: JsonObject


class InterfaceDefinition(Model):
    """A capability: its methods, events and data types at one version."""

    name: Name
    version: SemanticVersion
    methods: tuple[MethodSignature, ...] = Field(min_length=1)
    events: tuple[EventDefinition, ...] = ()
    data_types: tuple[TypeDefinition, ...] = ()

    @model_validator(mode="after")
    def _methods_are_distinct_tools(self) -> Self:
        names = [method.name for method in self.methods]
        if len(set(names)) != len(names):
            raise ValueError(f"interface {self.name} declares a method twice: {', '.join(sorted(names))}")
        for name in names:
            if len(tool_name(self.name, name)) > TOOL_NAME_LIMIT:
                raise ValueError(f"tool name {tool_name(self.name, name)} is longer than {TOOL_NAME_LIMIT} characters")
        return self

    def method(self, name: str) -> MethodSignature | None:
        """Return the method of that name, if there is one."""
        return next((method for method in self.methods if method.name == name), None)


class InterfaceRequirement(Model):
    """An interface a plugin needs from another plugin, at a version range."""

    name: Name
    constraint: str = "*"


class ResourceRequirements(Model):
    """What one instance may use at most, and how many there are.

    Attributes:
        spares: instances kept warm beside those that serve; one takes the place of an instance that dies.
        disk_mb: of its own folder, which is in memory where the walls are strong; elsewhere, of each file.
    """

    memory_mb: int = Field(default=256, ge=16, le=16_384)
    cpu_seconds_per_call: float = Field(default=10.0, gt=0)
    disk_mb: int = Field(default=64, ge=1, le=16_384)
    instances: int = Field(default=1, ge=1, le=32)
    spares: int = Field(default=1, ge=0, le=4)


class SecurityProfile(Model):
    """What the plugin asks to touch; everything it does not name is refused.

    Attributes:
        read_paths, write_paths: relative ones are its own; others are absolute or begin with `~`.
        isolation: the tier it runs in, and in no other; without one, in the strongest that the machine has for it.
    """

    permissions: tuple[str, ...] = ()
    read_paths: tuple[str, ...] = ()
    write_paths: tuple[str, ...] = ()
    network_hosts: tuple[NetworkHost, ...] = ()
    environment: tuple[str, ...] = ()
    subprocess: bool = False
    isolation: Isolation | None = None


class LifecycleHooks(Model):
    """Optional functions of the plugin that are called around an instance's life.

    Attributes:
        on_start: before the instance takes anything; it is not ready until this returns.
        on_warm_up: after the start, before the golden calls.
        on_drain: when the version takes no new calls; those that run go on.
        on_stop: before the instance ends.
        on_uninstall: once, when the version is removed for good.
        time_limit_seconds: how long each may take. A start or a warm-up that is late fails; the others are cut off.
    """

    on_start: Name | None = None
    on_warm_up: Name | None = None
    on_drain: Name | None = None
    on_stop: Name | None = None
    on_uninstall: Name | None = None
    time_limit_seconds: float = Field(default=5.0, gt=0, le=60)

    @property
    def named(self) -> dict[str, str]:
        """The functions that are named, by hook."""
        return {hook: name for hook in HOOKS if (name := getattr(self, hook)) is not None}


HOOKS = ("on_start", "on_warm_up", "on_drain", "on_stop", "on_uninstall")


class HealthCheck(Model):
    """The call that tells a healthy instance from a sick one; a bare ping when no method is named.

    Attributes:
        every_seconds: how often an idle instance is checked while it serves; 0 checks it at its start only.
        failures: failed checks in a row that end an instance.
    """

    capability: Name | None = None
    method: Name | None = None
    arguments: JsonObject = Field(default_factory=dict)
    every_seconds: float = Field(default=30.0, ge=0, le=3_600)
    failures: int = Field(default=2, ge=1, le=10)


class PluginContract(Model):
    """The contract between a plugin and the house, as `manifest.json` states it.

    Attributes:
        entry_point: the Python file that the house's runtime serves.
        command: starts a foreign MCP stdio server in its place; `{python}` stands for the plugin's interpreter and
            `{package}` for its folder.
        protocol: what the foreign server speaks.
        requirements: the hash-locked requirements file of the plugin's own environment.
        hot_swap_safe: whether two versions may run side by side.
    """

    name: Name
    version: SemanticVersion
    description: str = Field(min_length=1)
    entry_point: str = "plugin.py"
    command: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    protocol: WireProtocol = WireProtocol.AUTO
    requirements: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]+\.(txt|lock)$")
    hot_swap_safe: bool = True
    provided_interfaces: tuple[InterfaceDefinition, ...] = Field(min_length=1)
    required_interfaces: tuple[InterfaceRequirement, ...] = ()
    dependencies: dict[Name, str] = Field(default_factory=dict)
    resource_requirements: ResourceRequirements = ResourceRequirements()
    security_profile: SecurityProfile = SecurityProfile()
    lifecycle_hooks: LifecycleHooks = LifecycleHooks()
    health_check: HealthCheck = HealthCheck()
    release_notes: str = ""
    keywords: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _interfaces_are_distinct(self) -> Self:
        names = [interface.name for interface in self.provided_interfaces]
        if len(set(names)) != len(names):
            raise ValueError(f"plugin {self.name} provides an interface twice: {', '.join(sorted(names))}")
        return self

    @model_validator(mode="after")
    def _a_foreign_server_is_only_spoken_to(self) -> Self:
        if self.command and self.lifecycle_hooks.named:
            raise ValueError(f"plugin {self.name} is a foreign server, whose functions cannot be hooks")
        return self

    @model_validator(mode="after")
    def _a_cell_has_nothing_of_the_system(self) -> Self:
        """Refuse what the tier wasm cannot give: its cell has neither processes nor files nor an environment."""
        profile = self.security_profile
        asked = {
            "command": self.command,
            "read_paths": profile.read_paths,
            "write_paths": profile.write_paths,
            "environment": profile.environment,
            "subprocess": profile.subprocess,
        }
        found = [name for name, wanted in asked.items() if wanted]
        if profile.isolation is Isolation.WASM and found:
            raise ValueError(f"plugin {self.name} asks for {', '.join(found)}, which the tier wasm does not have")
        return self

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The capabilities the plugin provides."""
        return tuple(interface.name for interface in self.provided_interfaces)

    def interface(self, capability: str) -> InterfaceDefinition | None:
        """Return the interface that provides a capability, if there is one."""
        return next((interface for interface in self.provided_interfaces if interface.name == capability), None)


class PluginPackage(Model):
    """A package whose content is known: its contract and the digest of its files."""

    contract: PluginContract
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)

    @property
    def id(self) -> str:
        """`name@version`, as people write it."""
        return f"{self.contract.name}@{self.contract.version}"


def wire_name(capability: str, method: MethodSignature) -> str:
    """Return what the plugin's process calls a method."""
    return method.tool or tool_name(capability, method.name)


def tool_name(capability: str, method: str) -> str:
    """Return the MCP tool name of a capability's method."""
    return f"{capability}__{method}"


def split_tool_name(name: str) -> tuple[str, str] | None:
    """Return capability and method of a tool name, or None if it is not one of ours."""
    capability, separator, method = name.partition("__")
    return (capability, method) if separator and capability and method else None
