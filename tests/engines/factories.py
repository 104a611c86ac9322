"""Valid objects for the tests of the engines; every keyword replaces one field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from domain.calls import CapabilityRequest, MethodUsage, RequestKind
from domain.contracts import PluginContract, PluginPackage
from domain.gaps import Bucket, CapabilityGap, GapCategory, GapFactors, GapSource
from domain.opportunities import OpportunitySource, Remedy, UpgradeOpportunity
from domain.routing import PluginVersion
from domain.versions import SemanticVersion

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def digest_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def method(name: str = "run", **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "description": f"{name} something",
        "input_schema": {"type": "object"},
        "output_schema": {"type": "object"},
        "side_effects": "none",
        **fields,
    }


def contract(name: str = "text", version: str = "1.0.0", **fields: Any) -> PluginContract:
    interface = {"name": name, "version": version, "methods": [method()]}
    defaults = {
        "name": name,
        "version": version,
        "description": f"The {name} plugin",
        "provided_interfaces": [interface],
    }
    return PluginContract.model_validate({**defaults, **fields})


def package(name: str = "text", version: str = "1.0.0", *, size_bytes: int = 2_000, **fields: Any) -> PluginPackage:
    return PluginPackage(
        contract=contract(name, version, **fields), digest=digest_of(f"{name}@{version}"), size_bytes=size_bytes
    )


def version_of(found: PluginPackage) -> PluginVersion:
    return PluginVersion(plugin=found.contract.name, version=found.contract.version, digest=found.digest)


def plugin_version(name: str = "text", version: str = "1.0.0") -> PluginVersion:
    return PluginVersion(plugin=name, version=SemanticVersion(version), digest=digest_of(f"{name}@{version}"))


def remedy(*, new: bool = False, **fields: Any) -> Remedy:
    defaults = {
        "capability": "text",
        "package": plugin_version("text", "1.1.0"),
        "replaces": None if new else plugin_version("text", "1.0.0"),
    }
    return Remedy.model_validate({**defaults, **fields})


def opportunity(**fields: Any) -> UpgradeOpportunity:
    defaults = {
        "id": "opportunity-1",
        "source": OpportunitySource.PATTERN,
        "description": "text is slow",
        "estimated_value": 0.8,
        "estimated_complexity": 0.2,
        "estimated_risk": 0.2,
        "strategic_alignment": 0.5,
        "remedy": remedy(),
    }
    return UpgradeOpportunity.model_validate({**defaults, **fields})


def usage(capability: str = "text", name: str = "run", **fields: Any) -> MethodUsage:
    defaults = {"n": 100, "bad": 0, "callers": 3, "total_ms": 1_000.0, "p95_ms": 20.0}
    return MethodUsage.model_validate({"capability": capability, "method": name, **defaults, **fields})


def request(number: int, text: str, kind: RequestKind = RequestKind.ASKED, caller: str = "ada") -> CapabilityRequest:
    return CapabilityRequest(
        id=f"request-{number}",
        kind=kind,
        text=text,
        caller=caller,
        requested_at=NOW + timedelta(minutes=number),
    )


def gap(source: GapSource = GapSource.USER_REQUEST, **factors: float) -> CapabilityGap:
    names = GapFactors.model_fields
    return CapabilityGap(
        id="gap-1",
        category=GapCategory.TOOL,
        source=source,
        title="no currencies",
        reason="asked for",
        frequency=3,
        factors=GapFactors.model_validate({**dict.fromkeys(names, 0.0), **factors}),
        score=0.5,
        bucket=Bucket.MEDIUM,
    )
