from __future__ import annotations

from domain.gaps import Bucket, CapabilityGap, GapCategory, GapFactors, GapSource
from domain.patterns import ArchitecturalPattern, PatternScores, PatternType, Priority
from store.database import Store

FACTORS = GapFactors(
    user_request_frequency=0.5,
    user_satisfaction_impact=0.5,
    revenue_impact=0.5,
    efficiency_gain=0.5,
    roadmap_alignment=0.5,
    competitive_importance=0.5,
    implementation_complexity=0.5,
)


def pattern(name: str) -> ArchitecturalPattern:
    return ArchitecturalPattern(
        id=name,
        type=PatternType.BOTTLENECK,
        rule="slow-method",
        title="summarize is slow",
        priority=Priority.CRITICAL,
        frequency=3,
        scores=PatternScores(frequency=0.5, impact=0.5, complexity=0.5, risk=0.5),
        opportunity_score=0.5,
        evidence={"p95_ms": 1_200.5},
    )


def gap(name: str) -> CapabilityGap:
    return CapabilityGap(
        id=name,
        category=GapCategory.TOOL,
        source=GapSource.USER_REQUEST,
        title="no translation",
        reason="asked for 4 times",
        frequency=4,
        factors=FACTORS,
        score=0.5,
        bucket=Bucket.MEDIUM,
    )


def test_what_a_cycle_found_comes_back_whole(store: Store) -> None:
    store.discoveries.put_patterns("cycle-1", [pattern("p1"), pattern("p2")])
    store.discoveries.put_gaps("cycle-1", [gap("g1")])
    assert store.discoveries.of("cycle-1") == ([pattern("p1"), pattern("p2")], [gap("g1")])


def test_a_repeated_discovery_replaces_the_one_before(store: Store) -> None:
    store.discoveries.put_gaps("cycle-1", [gap("g1")])
    store.discoveries.put_patterns("cycle-1", [pattern("p1")])
    store.discoveries.put_patterns("cycle-1", [pattern("p2")])
    assert store.discoveries.of("cycle-1") == ([pattern("p2")], [gap("g1")])


def test_a_cycle_that_has_not_discovered_yet_has_found_nothing(store: Store) -> None:
    assert store.discoveries.of("cycle-9") == ([], [])
