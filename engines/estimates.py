"""Appendix A, estimates - decides the value, complexity, risk and alignment of an idea before anybody decides on it.

Every estimate is in [0, 1]. Independent contributions c are joined as 1 - product(1 - c), so that each can only raise
the whole. A count x weighs x / (x + h), where h is the count that weighs one half.

Rules:
- Value of a pattern is what 1.3 says of frequency and impact, (0.25 f + 0.35 i) / 0.60. Value of a gap is what 2.3 says
  of users and business, (0.30 u + 0.25 b) / 0.55. Complexity, risk and alignment enter the decision once, on their own.
- Complexity grows with the package's size (h = 50 kB), its methods (h = 20) and what it depends on (h = 3).
- Risk grows with what it newly asks to touch (h = 6), the version step, side effects, and having callers to lose.
- Alignment is 1 with a strategic keyword, 0.25 with none of them, 0.5 when there are none; asked for by a person, 0.75
  at least.

Not here: which idea (`engines/opportunities.py`), the answer (`engines/decisions.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Final

from domain.contracts import PluginContract, PluginPackage, SideEffects
from domain.gaps import CapabilityGap, GapSource
from domain.patterns import ArchitecturalPattern
from engines.words import words

NEUTRAL: Final = 0.5
_STEP_RISK: Final = (0.30, 0.05, 0.02)
_NEW_RISK: Final = 0.05
_CALLERS_RISK: Final = 0.05
_EFFECT_RISK: Final = {SideEffects.NONE: 0.0, SideEffects.IDEMPOTENT: 0.10, SideEffects.UNSAFE: 0.25}
_SUBPROCESS: Final = 3


def joined(contributions: Iterable[float]) -> float:
    """Return 1 - product(1 - c) of contributions in [0, 1]."""
    return 1 - prod(1 - contribution for contribution in contributions)


def saturated(count: float, half: float) -> float:
    """Return count / (count + half), in [0, 1)."""
    return count / (count + half)


def value_of_pattern(pattern: ArchitecturalPattern) -> float:
    """Return how much acting on a pattern is worth."""
    return (0.25 * pattern.scores.frequency + 0.35 * pattern.scores.impact) / 0.60


def value_of_gap(gap: CapabilityGap) -> float:
    """Return how much filling a gap is worth."""
    users = gap.factors.user_request_frequency * gap.factors.user_satisfaction_impact
    business = gap.factors.revenue_impact + gap.factors.efficiency_gain
    return min(1.0, (0.30 * users + 0.25 * business) / 0.55)


def complexity_of(package: PluginPackage) -> float:
    """Return how much there is to take in."""
    contract = package.contract
    methods = sum(len(interface.methods) for interface in contract.provided_interfaces)
    needs = len(contract.dependencies) + len(contract.required_interfaces)
    return joined((saturated(package.size_bytes, 50_000), saturated(methods, 20), saturated(needs, 3)))


def risk_of(package: PluginPackage, replaced: PluginContract | None) -> float:
    """Return how much could go wrong.

    Args:
        package: what would be installed.
        replaced: what runs now in its place, None for a new capability.
    """
    effects = [method.side_effects for provided in package.contract.provided_interfaces for method in provided.methods]
    asked = _asks(package.contract) - (_asks(replaced) if replaced else frozenset())
    weight = sum(_SUBPROCESS if ask == "subprocess" else 1 for ask in asked)
    return joined(
        (
            saturated(weight, 6),
            _step_risk(package.contract, replaced),
            max(_EFFECT_RISK[effect] for effect in effects),
            _CALLERS_RISK if replaced else 0.0,
        )
    )


def alignment_of(text: str, gaps: Sequence[CapabilityGap], keywords: Sequence[str]) -> float:
    """Return how well an idea fits what its owner and its users want.

    Args:
        text: what the idea is about.
        gaps: the gaps it would fill.
        keywords: what the owner wants more of.
    """
    strategic = strategic_fit(words(text), keywords)
    asked = any(gap.source is GapSource.USER_REQUEST for gap in gaps)
    return max(strategic, 0.75) if asked else strategic


def strategic_fit(own: frozenset[str], keywords: Sequence[str]) -> float:
    """Return 1 with one of the owner's keywords among the words, 0.25 with none of them, 0.5 when there are none."""
    if not keywords:
        return NEUTRAL
    return 1.0 if own & words(" ".join(keywords)) else NEUTRAL / 2


def _asks(contract: PluginContract) -> frozenset[str]:
    profile = contract.security_profile
    named = {
        "permission": profile.permissions,
        "read": profile.read_paths,
        "write": profile.write_paths,
        "host": profile.network_hosts,
        "environment": profile.environment,
    }
    asks = {f"{kind} {name}" for kind, names in named.items() for name in names}
    return frozenset(asks | {"subprocess"} if profile.subprocess else asks)


def _step_risk(contract: PluginContract, replaced: PluginContract | None) -> float:
    if replaced is None:
        return _NEW_RISK
    steps = zip(contract.version.numbers, replaced.version.numbers, _STEP_RISK, strict=True)
    return next((risk for new, old, risk in steps if new != old), _STEP_RISK[-1])
