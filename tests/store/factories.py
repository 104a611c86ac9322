"""Valid objects for the tests of the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.calls import CallRecord, ReplaySample
from domain.contracts import InterfaceDefinition, MethodSignature, PluginContract, PluginPackage
from domain.cycles import CycleRecord, CycleStatus, Trigger
from domain.decisions import Decision, DecisionScores
from domain.opportunities import OpportunitySource, Remedy, UpgradeOpportunity
from domain.rollouts import RolloutConfiguration, RolloutStage
from domain.routing import PluginVersion, Route
from domain.upgrades import UpgradePlan, UpgradeRecord, UpgradeStatus
from domain.versions import SemanticVersion

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def digest(letter: str) -> str:
    return letter * 64


def version(number: str = "1.0.0", letter: str = "a", plugin: str = "text_tools") -> PluginVersion:
    return PluginVersion(plugin=plugin, version=SemanticVersion(number), digest=digest(letter))


def route(capability: str = "text", **fields: Any) -> Route:
    return Route(capability=capability, **{"control": version(), **fields})


def cycle(number: int = 1, **fields: Any) -> CycleRecord:
    values = {"trigger": Trigger.MANUAL, "status": CycleStatus.RUNNING, "started_at": at(number), **fields}
    return CycleRecord(id=f"cycle-{number}", **values)


def opportunity(name: str = "faster-text", capability: str = "text", **fields: Any) -> UpgradeOpportunity:
    remedy = Remedy(capability=capability, package=version("1.1.0", "b"), replaces=version())
    values: dict[str, Any] = {
        "source": OpportunitySource.PATTERN,
        "description": "A faster version is in the registry.",
        "estimated_value": 0.8,
        "estimated_complexity": 0.2,
        "estimated_risk": 0.1,
        "remedy": remedy,
        "found_at": NOON,
        **fields,
    }
    return UpgradeOpportunity(id=name, **values)


def decision(opportunity_id: str = "faster-text", *, approved: bool = True) -> Decision:
    scores = DecisionScores(value=0.8, risk=0.1, complexity=0.2, alignment=0.5, resources=1.0)
    return Decision(
        opportunity_id=opportunity_id,
        approved=approved,
        confidence=0.8,
        composite=0.8,
        scores=scores,
        reasoning=("worth it",),
    )


def rollout_plan() -> RolloutConfiguration:
    stage = RolloutStage(name="everyone", traffic_percentage=100, duration=timedelta(hours=1))
    return RolloutConfiguration(name="quick", stages=(stage,))


def plan(number: int = 1) -> UpgradePlan:
    return UpgradePlan(
        id=f"plan-{number}",
        cycle_id="cycle-1",
        opportunity=opportunity(),
        decision=decision(),
        implementation_steps=(),
        rollout_config=rollout_plan(),
        created_at=NOON,
    )


def upgrade(number: int = 1, **fields: Any) -> UpgradeRecord:
    values: dict[str, Any] = {
        "cycle_id": "cycle-1",
        "opportunity_id": "faster-text",
        "capability": "text",
        "from_version": "text_tools@1.0.0",
        "to_version": "text_tools@1.1.0",
        "status": UpgradeStatus.IMPLEMENTING,
        "risk": 0.1,
        "confidence": 0.8,
        "started_at": at(number),
        **fields,
    }
    return UpgradeRecord(id=f"upgrade-{number}", **values)


def call(seconds: float = 0, **fields: Any) -> CallRecord:
    values: dict[str, Any] = {
        "call_id": f"call-{seconds}",
        "capability": "text",
        "method": "summarize",
        "version": "text_tools@1.0.0",
        "caller": "anna",
        "started_at": at(seconds),
        "duration_ms": 10.0,
        **fields,
    }
    return CallRecord(**values)


def sample(text: str = "hello", seconds: float = 0, method: str = "summarize") -> ReplaySample:
    return ReplaySample(capability="text", method=method, arguments={"text": text}, recorded_at=at(seconds))


def package(letter: str = "a", number: str = "1.0.0", capability: str = "text") -> PluginPackage:
    method = MethodSignature(name="summarize", description="Make it short.", input_schema={}, output_schema={})
    interface = InterfaceDefinition(name=capability, version=SemanticVersion("1.0.0"), methods=(method,))
    contract = PluginContract(
        name="text_tools",
        version=SemanticVersion(number),
        description="Tools for text.",
        provided_interfaces=(interface,),
    )
    return PluginPackage(contract=contract, digest=digest(letter), size_bytes=100)
