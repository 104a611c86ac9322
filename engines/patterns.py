"""Spec 1.1, 1.2 and 1.3, pattern recognition - decides which patterns code and usage show, and how much each matters.

    score = 0.25 frequency + 0.35 impact + 0.20 (1 - complexity) + 0.20 (1 - risk)

Inputs, each in [0, 1]. `h` is `min_frequency`, so that what is seen just often enough has a frequency of one half.

| input      | pattern of code                                  | bottleneck                                 |
|------------|--------------------------------------------------|--------------------------------------------|
| frequency  | places / (places + h)                            | calls / (calls + h)                        |
| impact     | files touched / files scanned                    | share of the time of all calls             |
| complexity | lines / (lines + 200), lines of all places       | 1/2: unknown until there is a remedy       |
| risk       | files touched / (files touched + 4)              | 1/2: as above                              |

Rules:
- A repetition needs `min_frequency` copies. A flaw or a ladder is one wherever it stands.
- A method is a bottleneck when it takes at least a tenth of all time and was called often enough: by Amdahl's law
  nothing else is worth making faster.
- Ids are made of the rule and the places' symbols, so that a pattern keeps its id while lines move.
- A file that cannot be parsed is skipped with its reason, and the others are scanned all the same.

Not here: the rules (`engines/clones.py`, `engines/anti_patterns.py`, `engines/abstractions.py`); capability overlap,
which needs to know which capabilities are used for the same tasks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from math import fsum
from typing import Final

from domain.calls import MethodUsage
from domain.patterns import (
    PRIORITY_OF,
    ArchitecturalPattern,
    PatternScores,
    PatternType,
    ScanResult,
    SkippedFile,
    SourceFile,
)
from engines.abstractions import find_abstractions
from engines.anti_patterns import find_anti_patterns
from engines.clones import find_clones
from engines.estimates import NEUTRAL, saturated
from engines.syntax import Finding, ParsedFile, parse

MIN_SHARE: Final = 0.10


def scan_sources(sources: Sequence[SourceFile], min_frequency: int) -> ScanResult:
    """Scan source files.

    Args:
        sources: Python files, in any order.
        min_frequency: copies from which a repetition is reported, at least 1.

    Returns:
        Ranked patterns, and how much was covered.
    """
    files, skipped = _parsed(sources)
    findings = find_clones(files, min_frequency)
    findings += [finding for file in files for finding in find_anti_patterns(file)]
    findings += find_abstractions(files)
    seen: Counter[str] = Counter()
    patterns = []
    for finding in findings:
        key = _key(finding)
        seen[key] += 1
        patterns.append(_pattern(finding, f"{key}#{seen[key]}", len(files), min_frequency))
    return ScanResult(
        patterns=tuple(rank(patterns)),
        files=len(files),
        lines=sum(file.lines for file in files),
        skipped=tuple(skipped),
    )


def bottlenecks(usage: Sequence[MethodUsage], min_calls: int) -> list[ArchitecturalPattern]:
    """Find the methods that take most of the time.

    Args:
        usage: all methods in one window; a method's versions count together, with the highest p95.
        min_calls: calls below which a method says nothing, at least 1.

    Returns:
        Ranked patterns, whose first affected component is the capability.
    """
    total = fsum(row.total_ms for row in usage)
    methods = sorted({(row.capability, row.method) for row in usage})
    grouped = {name: [row for row in usage if (row.capability, row.method) == name] for name in methods}
    return rank(
        _bottleneck(rows, share, min_calls)
        for rows in grouped.values()
        if (share := fsum(row.total_ms for row in rows) / total if total else 0.0) >= MIN_SHARE
        and sum(row.n for row in rows) >= max(1, min_calls)
    )


def opportunity_score(scores: PatternScores) -> float:
    """Return the composite of 1.3, in [0, 1]."""
    composite = (
        0.25 * scores.frequency + 0.35 * scores.impact + 0.20 * (1 - scores.complexity) + 0.20 * (1 - scores.risk)
    )
    return min(1.0, max(0.0, composite))


def rank(patterns: Iterable[ArchitecturalPattern]) -> list[ArchitecturalPattern]:
    """Order patterns by score, then frequency, then id."""
    return sorted(patterns, key=lambda pattern: (-pattern.opportunity_score, -pattern.frequency, pattern.id))


def _parsed(sources: Sequence[SourceFile]) -> tuple[list[ParsedFile], list[SkippedFile]]:
    files, skipped = [], []
    for source in sorted(sources, key=lambda source: (source.path, source.text)):
        tree = parse(source.path, source.text)
        if isinstance(tree, str):
            skipped.append(SkippedFile(file=source.path, reason=tree))
        else:
            files.append(ParsedFile(source.path, tree, len(source.text.splitlines())))
    return files, skipped


def _key(finding: Finding) -> str:
    return "\n".join([finding.rule, *sorted(f"{place.file}::{place.symbol}" for place in finding.locations)])


def _pattern(finding: Finding, key: str, all_files: int, min_frequency: int) -> ArchitecturalPattern:
    touched = sorted({place.file for place in finding.locations})
    lines = sum(place.end_line - place.start_line + 1 for place in finding.locations)
    scores = PatternScores(
        frequency=saturated(len(finding.locations), max(1, min_frequency)),
        impact=len(touched) / all_files,
        complexity=saturated(lines, 200),
        risk=saturated(len(touched), 4),
    )
    return ArchitecturalPattern(
        id=_id(key),
        type=finding.type,
        rule=finding.rule,
        title=finding.title,
        priority=PRIORITY_OF[finding.type],
        frequency=len(finding.locations),
        locations=finding.locations,
        affected_components=tuple(touched),
        scores=scores,
        opportunity_score=opportunity_score(scores),
        evidence={**finding.evidence, "lines": lines},
    )


def _bottleneck(rows: Sequence[MethodUsage], share: float, min_calls: int) -> ArchitecturalPattern:
    capability, method = rows[0].capability, rows[0].method
    n, total_ms, p95 = sum(row.n for row in rows), fsum(row.total_ms for row in rows), max(row.p95_ms for row in rows)
    scores = PatternScores(
        frequency=saturated(n, max(1, min_calls)), impact=min(1.0, share), complexity=NEUTRAL, risk=NEUTRAL
    )
    return ArchitecturalPattern(
        id=_id(f"share_of_time\n{capability}.{method}"),
        type=PatternType.BOTTLENECK,
        rule="share_of_time",
        title=f"{capability}.{method} takes {share:.0%} of the time of all calls (p95 {p95:.0f} ms, {n} calls)",
        priority=PRIORITY_OF[PatternType.BOTTLENECK],
        frequency=n,
        affected_components=(capability,),
        scores=scores,
        opportunity_score=opportunity_score(scores),
        evidence={"method": method, "n": n, "p95_ms": p95, "share": share, "total_ms": total_ms},
    )


def _id(key: str) -> str:
    return f"pattern-{sha256(key.encode()).hexdigest()[:16]}"
