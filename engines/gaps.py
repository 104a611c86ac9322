"""Spec 2.1, 2.2 and 2.3, gap analysis - decides what the agent lacks, of which kind, and how much it matters.

    score = 0.30 user_request_frequency * user_satisfaction_impact + 0.25 (revenue_impact + efficiency_gain)
          + 0.25 roadmap_alignment * competitive_importance + 0.20 (1 - implementation_complexity)

Rules:
- The formula is the spec's to the letter. It can reach 1.25, since its second term adds two shares; the score is cut
  at 1, which moves no gap to another bucket: critical from 0.9, high from 0.7, medium from 0.5.
- Requests belong together when they want the same capability: by the tool's name, or by the package that fits their
  words best. Those that fit none belong together when they share half of their words.
- What an installed plugin fits best is no gap. A lack seen fewer times than `min_occurrences` is none either.
- A method fails for a reason, not by chance, when the lower end of its failure rate's 95 % interval (Wilson 1927, JASA
  22) is high.
- No factor is invented. Revenue is the share of all calls and requests that came to nothing here; efficiency the share
  of this lack's own that did; a lack of the tool itself disappoints wholly; complexity is one minus the best fit.

Not here: kinds of gap (`engines/gap_categories.py`), words and fits (`engines/words.py`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from math import sqrt
from typing import Final, NamedTuple

from domain.calls import CapabilityRequest, MethodUsage, RequestKind
from domain.contracts import PluginPackage, split_tool_name
from domain.gaps import Bucket, CapabilityGap, GapFactors, GapLimits, GapSource
from domain.opportunities import Landscape
from engines.estimates import saturated, strategic_fit
from engines.gap_categories import Evidence, classify
from engines.words import Profile, fit, profile, rarity, words

EXAMPLES: Final = 20
_Z: Final = 1.959963984540054


class _Want(NamedTuple):
    """What one request is about."""

    request: CapabilityRequest
    capability: str | None
    method: str | None
    words: frozenset[str]
    match: float


class _Catalogue(NamedTuple):
    """The packages of a landscape with their words."""

    profiles: tuple[tuple[PluginPackage, Profile], ...]
    installed: frozenset[str]
    rare: Mapping[str, float]


class _Demand(NamedTuple):
    """All that was wanted of the agent in the window."""

    callers: int
    total: int


def find_gaps(
    requests: Sequence[CapabilityRequest],
    usage: Sequence[MethodUsage],
    landscape: Landscape,
    limits: GapLimits | None = None,
) -> list[CapabilityGap]:
    """Find what the agent lacks.

    Args:
        requests: what was asked for and was not there.
        usage: how the methods that are there were used in the same window.
        landscape: what is installed, and what could be.
        limits: from when on a lack counts.

    Returns:
        Gaps, the highest score first; the same input gives the same list.
    """
    limits = limits or GapLimits()
    catalogue = _catalogue(landscape)
    wants = [want for want in (_understand(request, catalogue, limits) for request in requests) if want is not None]
    callers = max([len({request.caller for request in requests}), *(row.callers for row in usage)])
    demand = _Demand(max(1, callers), max(1, len(requests) + sum(row.n for row in usage)))
    clusters = [cluster for cluster in _clusters(wants) if len(cluster) >= limits.min_occurrences]
    gaps = [_wanted(cluster, demand, landscape) for cluster in clusters]
    gaps += [_failing(row, demand, landscape) for row in usage if _fails(row, limits)]
    return sorted(gaps, key=lambda gap: (-gap.score, -gap.frequency, gap.id))


def priority_score(factors: GapFactors) -> float:
    """Return the score of 2.3, cut at 1."""
    return min(
        1.0,
        0.30 * factors.user_request_frequency * factors.user_satisfaction_impact
        + 0.25 * (factors.revenue_impact + factors.efficiency_gain)
        + 0.25 * factors.roadmap_alignment * factors.competitive_importance
        + 0.20 * (1 - factors.implementation_complexity),
    )


def bucket_of(score: float) -> Bucket:
    """Return the priority of 2.3; a score on a border belongs above it."""
    borders = ((0.9, Bucket.CRITICAL), (0.7, Bucket.HIGH), (0.5, Bucket.MEDIUM))
    return next((bucket for border, bucket in borders if score >= border), Bucket.LOW)


def wilson_lower(bad: int, n: int) -> float:
    """Return the lower end of the 95 % score interval of a rate; 0 without calls."""
    if n == 0:
        return 0.0
    rate, spread = bad / n, _Z**2 / n
    half = _Z * sqrt(rate * (1 - rate) / n + spread / (4 * n))
    return max(0.0, (rate + spread / 2 - half) / (1 + spread))


def _catalogue(landscape: Landscape) -> _Catalogue:
    known = {package.digest: package for package in (*landscape.market, *landscape.installed)}
    packages = sorted(known.values(), key=lambda package: (package.id, package.digest))
    profiles = tuple((package, profile(package.contract)) for package in packages)
    installed = frozenset(package.digest for package in landscape.installed)
    return _Catalogue(profiles, installed, rarity([(package.contract.name, own) for package, own in profiles]))


def _understand(request: CapabilityRequest, catalogue: _Catalogue, limits: GapLimits) -> _Want | None:
    """Say what a request wants; None when an installed plugin does it already."""
    asked = words(request.text.replace("__", " "))
    named = split_tool_name(request.text) if request.kind is RequestKind.UNKNOWN_TOOL else None
    if named is not None:
        offered = any(named[0] in package.contract.capabilities for package, _ in catalogue.profiles)
        return _Want(request, named[0], named[1], asked, 1.0 if offered else 0.0)
    fits = [(fit(asked, own, catalogue.rare), package) for package, own in catalogue.profiles]
    best = max((score for score, _ in fits), default=0.0)
    if best < limits.min_match:
        return _Want(request, None, None, asked, 0.0)
    first = [package for score, package in fits if score == best]
    if any(package.digest in catalogue.installed for package in first):
        return None
    return _Want(request, _closest(first[0], asked), None, asked, best)


def _closest(package: PluginPackage, asked: frozenset[str]) -> str:
    """Return the capability of a package whose names and descriptions share most words with what was asked."""

    def shared(capability: str) -> int:
        interface = package.contract.interface(capability)
        methods = interface.methods if interface else ()
        own = words(" ".join([capability, *(f"{method.name} {method.description}" for method in methods)]))
        return len(own & asked)

    return max(sorted(package.contract.capabilities), key=shared)


def _clusters(wants: Sequence[_Want]) -> list[list[_Want]]:
    named: dict[str, list[_Want]] = defaultdict(list)
    loose: list[list[_Want]] = []
    for want in sorted(wants, key=lambda want: (want.request.requested_at, want.request.id)):
        if want.capability is not None:
            named[want.capability].append(want)
        elif want.words:
            _join(loose, want)
    return [named[capability] for capability in sorted(named)] + loose


def _join(clusters: list[list[_Want]], want: _Want) -> None:
    """Add a request to the first cluster whose first request shares half of their words, or open one."""
    for cluster in clusters:
        shared, all_ = cluster[0].words & want.words, cluster[0].words | want.words
        if 2 * len(shared) >= len(all_):
            cluster.append(want)
            return
    clusters.append([want])


def _wanted(cluster: Sequence[_Want], demand: _Demand, landscape: Landscape) -> CapabilityGap:
    requests = [want.request for want in cluster]
    callers = len({request.caller for request in requests})
    capability = cluster[0].capability
    keywords = _common(cluster)
    asked = any(request.kind is RequestKind.ASKED for request in requests)
    repeated = saturated(len(requests), 2)
    factors = GapFactors(
        user_request_frequency=1 - (1 - repeated) * (1 - min(1.0, callers / demand.callers)),
        user_satisfaction_impact=1.0,
        revenue_impact=min(1.0, len(requests) / demand.total),
        efficiency_gain=1.0,
        roadmap_alignment=strategic_fit(frozenset(keywords), landscape.strategic_keywords),
        competitive_importance=_offered(capability, landscape),
        implementation_complexity=1 - max(want.match for want in cluster),
    )
    methods = Counter(want.method for want in cluster if want.method is not None)
    category, reason = classify(Evidence(frozenset(keywords), not asked, _exists(capability, landscape), 0.0))
    return _gap(
        ("request", capability or " ".join(keywords)),
        factors,
        category=category,
        source=GapSource.USER_REQUEST if asked else GapSource.TASK_FAILURE,
        title=f"{capability or ' '.join(keywords[:5])}: wanted {len(requests)} times, not there",
        reason=reason,
        wanted_capability=capability,
        wanted_method=min(methods, key=lambda name: (-methods[name], name)) if methods else None,
        keywords=keywords,
        examples=tuple(request.id for request in requests[:EXAMPLES]),
        frequency=len(requests),
        callers=callers,
        last_seen=max(request.requested_at for request in requests),
    )


def _fails(row: MethodUsage, limits: GapLimits) -> bool:
    return row.bad >= limits.min_occurrences and wilson_lower(row.bad, row.n) >= limits.min_failure_rate


def _failing(row: MethodUsage, demand: _Demand, landscape: Landscape) -> CapabilityGap:
    keywords = tuple(sorted(words(f"{row.capability} {row.method}")))
    rate = row.bad / row.n
    factors = GapFactors(
        user_request_frequency=min(1.0, row.callers / demand.callers),
        user_satisfaction_impact=wilson_lower(row.bad, row.n),
        revenue_impact=min(1.0, row.bad / demand.total),
        efficiency_gain=rate,
        roadmap_alignment=strategic_fit(frozenset(keywords), landscape.strategic_keywords),
        competitive_importance=_offered(row.capability, landscape),
        implementation_complexity=0.0 if _offered(row.capability, landscape) else 1.0,
    )
    category, reason = classify(Evidence(frozenset(), called=False, exists=True, failure_rate=rate))
    return _gap(
        ("failure", f"{row.capability}.{row.method}"),
        factors,
        category=category,
        source=GapSource.TASK_FAILURE,
        title=f"{row.capability}.{row.method} fails: {row.bad} of {row.n} calls",
        reason=reason,
        wanted_capability=row.capability,
        wanted_method=row.method,
        keywords=keywords,
        frequency=row.bad,
        callers=row.callers,
    )


def _gap(identity: tuple[str, str], factors: GapFactors, **fields: object) -> CapabilityGap:
    score = priority_score(factors)
    digest = sha256("\n".join(identity).encode()).hexdigest()
    derived = {"id": f"gap-{digest[:16]}", "factors": factors, "score": score, "bucket": bucket_of(score)}
    return CapabilityGap.model_validate({**fields, **derived})


def _common(cluster: Sequence[_Want]) -> tuple[str, ...]:
    """Return the words of at least half of the requests, the most frequent first."""
    counts = Counter(word for want in cluster for word in want.words)
    often = [word for word, count in counts.items() if 2 * count >= len(cluster)]
    return tuple(sorted(often or counts, key=lambda word: (-counts[word], word)))


def _offered(capability: str | None, landscape: Landscape) -> float:
    """Return k / (k + 1) for the k plugins of the market that provide the capability."""
    names = {package.contract.name for package in landscape.market if capability in package.contract.capabilities}
    return saturated(len(names), 1)


def _exists(capability: str | None, landscape: Landscape) -> bool:
    return any(capability in package.contract.capabilities for package in landscape.installed)
