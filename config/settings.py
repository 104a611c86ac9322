"""Spec 10.1, system configuration - decides which settings exist, their defaults and where they come from.

Rules:
- Order: environment (`UPGRADE_LOOP_CYCLE__INTERVAL_MINUTES=5`), then the home's file, then the file shipped here.
- The sections of spec 10.1 keep its names to the letter; sections of our own stand beside them.
- An unknown key is refused.

Not here: reading the file and telling its mistakes (`config/loading.py`), rollout plans (`config/rollouts.py`).
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from domain.isolation import Isolation
from domain.roles import Role

CONFIG_FILE_NAME = "self_upgrading_loop_config.yaml"
SHIPPED_FILE = Path(__file__).parent / CONFIG_FILE_NAME
ROOT_KEY = "self_upgrading_loop"


class Section(BaseModel):
    """A part of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ScanDepth(StrEnum):
    """How much of the code a scan reads: `shallow` the top level of each source folder, `deep` everything below it."""

    SHALLOW = "shallow"
    DEEP = "deep"


class CycleSettings(Section):
    """When the loop runs, and how much at once."""

    enabled: bool = True
    interval_minutes: float = Field(default=60, gt=0)
    max_concurrent_upgrades: int = Field(default=2, ge=1)


class PatternRecognitionSettings(Section):
    """The scan of code and behaviour."""

    enabled: bool = True
    scan_depth: ScanDepth = ScanDepth.DEEP
    min_pattern_frequency: int = Field(default=5, ge=1)


class GapAnalysisSettings(Section):
    """Where lacks are looked for."""

    enabled: bool = True
    analyze_user_requests: bool = True
    analyze_failures: bool = True
    market_scan_enabled: bool = True


class DiscoverySettings(Section):
    """The discovery phase."""

    pattern_recognition: PatternRecognitionSettings = PatternRecognitionSettings()
    gap_analysis: GapAnalysisSettings = GapAnalysisSettings()
    window_hours: float = Field(default=24, gt=0)


class DecisionSettings(Section):
    """Who decides.

    Attributes:
        approve_at: composite score from which an opportunity is approved at all (spec 9.2).
        auto_approve_threshold: composite score from which nobody is asked.
        require_human_approval_above_risk: risk above which a person is always asked.
        approval_timeout_hours: how long a question may stay open before it counts as no.
    """

    approve_at: float = Field(default=0.7, ge=0, le=1)
    auto_approve_threshold: float = Field(default=0.85, ge=0, le=1)
    require_human_approval_above_risk: float = Field(default=0.6, ge=0, le=1)
    approval_timeout_hours: float = Field(default=72, gt=0)


class AbTestingSettings(Section):
    """Experiments."""

    enabled: bool = True
    default_significance_level: float = Field(default=0.05, gt=0, lt=1)
    default_power: float = Field(default=0.8, gt=0, lt=1)
    max_experiment_duration_days: float = Field(default=14, gt=0)
    replay_samples: int = Field(default=20, ge=0, description="recorded calls kept per method for paired replay")


class RolloutStrategy(StrEnum):
    """How a version reaches its callers: in stages, or all at once under the last stage's gates."""

    GRADUAL = "gradual"
    IMMEDIATE = "immediate"


class RolloutSettings(Section):
    """Rollouts.

    Attributes:
        plan: the plan of `rollouts.yaml` for a capability that has an old version.
        new_capability_plan: the plan for one that has none.
    """

    enabled: bool = True
    default_strategy: RolloutStrategy = RolloutStrategy.GRADUAL
    auto_rollback_on_failure: bool = True
    plan: str = "standard"
    new_capability_plan: str = "new_capability"


class PerformanceSettings(Section):
    """How much worse a candidate may be."""

    enabled: bool = True
    max_latency_regression_percent: float = Field(default=20, ge=0)
    max_error_rate_regression_multiplier: float = Field(default=2, ge=1)


class RollbackSettings(Section):
    """Taking back.

    Attributes:
        enabled: whether a finished upgrade may be taken back at all. An upgrade that fails half-way always is.
        auto_rollback_enabled: whether a stage that does harm is taken back without a person.
    """

    enabled: bool = True
    snapshot_retention_days: float = Field(default=30, gt=0)
    auto_rollback_enabled: bool = True


class GatewaySettings(Section):
    """The door. Port 0 means any free one.

    Attributes:
        drain_seconds: how long a version that is no longer routed may finish its calls.
        warm_hold_seconds: how long it is kept running before that, so that taking it back is instant.
        request_pause_seconds: least time between two notices of one kind, that agents lack something for example.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65_535)
    admin_port: int = Field(default=0, ge=0, le=65_535)
    calls_per_minute_per_caller: int = Field(default=1_200, ge=1)
    drain_seconds: float = Field(default=30, ge=0)
    warm_hold_seconds: float = Field(default=300, ge=0)
    request_pause_seconds: float = Field(default=60, ge=0)
    ledger_flush_seconds: float = Field(default=0.5, gt=0)
    ledger_retention_days: float = Field(default=30, gt=0)


class TemporalSettings(Section):
    """The Temporal Service."""

    address: str = ""
    namespace: str = "default"
    task_queue: str = "upgrade-loop"
    host_name: str = "local"

    @property
    def host_queue(self) -> str:
        """Queue of the work that is bound to the machine the agent lives on."""
        return f"agent-host-{self.host_name}"


class AgentSettings(Section):
    """The agent that is looked after.

    Attributes:
        name: how it is called in reports.
        source_paths: folders of its code, scanned for patterns.
        registry: folder of the plugin registry its remedies come from.
        strategic_keywords: what its owner wants more of; raises alignment.
    """

    name: str = "agent"
    source_paths: tuple[Path, ...] = ()
    registry: Path | None = None
    strategic_keywords: tuple[str, ...] = ()


class SecuritySettings(Section):
    """What a plugin may ask for.

    Attributes:
        allow_unsigned: whether packages of a plain directory registry, which nobody signed, may be installed.
        lowest_isolation: the weakest tier that a plugin may run in without anybody's approval.
        trusted: plugins, as `name` or `name@version`, that a person approved to run in any tier, also without walls.
        read_paths, write_paths: folders in which a plugin may ask to read, or to write.
        environment: variables that a plugin may ask for.
    """

    allow_unsigned: bool = True
    permissions: tuple[str, ...] = ()
    network_hosts: tuple[str, ...] = ()
    subprocess: bool = False
    lowest_isolation: Isolation = Isolation.CONTAINED
    trusted: tuple[str, ...] = ()
    read_paths: tuple[Path, ...] = ()
    write_paths: tuple[Path, ...] = ()
    environment: tuple[str, ...] = ()


class NotificationSettings(Section):
    """Who is told."""

    console: bool = True
    webhook_url: str | None = None


class StoreSettings(Section):
    """The database; the home's SQLite file when no URL is given."""

    url: str | None = None


class Settings(BaseSettings):
    """All settings, read once at start."""

    model_config = SettingsConfigDict(
        env_prefix="UPGRADE_LOOP_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
    )

    cycle: CycleSettings = CycleSettings()
    discovery: DiscoverySettings = DiscoverySettings()
    decision: DecisionSettings = DecisionSettings()
    ab_testing: AbTestingSettings = AbTestingSettings()
    rollout: RolloutSettings = RolloutSettings()
    performance: PerformanceSettings = PerformanceSettings()
    rollback: RollbackSettings = RollbackSettings()
    gateway: GatewaySettings = GatewaySettings()
    temporal: TemporalSettings = TemporalSettings()
    agent: AgentSettings = AgentSettings()
    roles: dict[str, Role] = Field(default_factory=lambda: {"owner": Role.ADMINISTRATOR})
    security: SecuritySettings = SecuritySettings()
    notifications: NotificationSettings = NotificationSettings()
    store: StoreSettings = StoreSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @model_validator(mode="after")
    def _asking_makes_sense(self) -> Self:
        if self.decision.auto_approve_threshold < self.decision.approve_at:
            raise ValueError("decision.auto_approve_threshold must not be below decision.approve_at")
        return self

    @property
    def takes_back_by_itself(self) -> bool:
        """Whether a candidate that does harm is taken back without a person."""
        rollback, rollout = self.rollback, self.rollout
        return rollback.enabled and rollback.auto_rollback_enabled and rollout.auto_rollback_on_failure

    @property
    def discovery_window(self) -> timedelta:
        """How far back discovery looks."""
        return timedelta(hours=self.discovery.window_hours)
