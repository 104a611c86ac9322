"""Spec 2.2, gap classification matrix - decides which of the seven kinds a gap is, and says why.

Rules:
- One small rule for each row of the matrix; the first that applies, in the order of the table, names the kind.
- Facts come before words: a failing method and a call of a missing tool speak for themselves.
- What no rule knows is a skill the agent lacks.

Not here: finding gaps (`engines/gaps.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from domain.gaps import GapCategory
from engines.words import words


class Evidence(NamedTuple):
    """What a rule may look at.

    Attributes:
        words: stems that the requests have in common.
        called: whether the tool was called by its name and never asked for in words.
        exists: whether the capability is installed.
        failure_rate: share of the method's calls that failed; 0 for requests.
    """

    words: frozenset[str]
    called: bool
    exists: bool
    failure_rate: float


_Rule = tuple[GapCategory, Callable[[Evidence], bool], str]


def _any_of(text: str) -> Callable[[Evidence], bool]:
    wanted = words(text)
    return lambda evidence: bool(wanted & evidence.words)


RULES: Final[tuple[_Rule, ...]] = (
    (GapCategory.SKILL, lambda found: found.failure_rate >= 0.5, "It fails more often than it succeeds."),
    (GapCategory.QUALITY, lambda found: found.failure_rate > 0, "It works, but fails too often."),
    (GapCategory.TOOL, lambda found: found.called and not found.exists, "A tool was called that is not there."),
    (GapCategory.SKILL, lambda found: found.called, "The capability is there, but not this operation."),
    (
        GapCategory.PERFORMANCE,
        _any_of("slow slower faster speed latency timeout quicker memory heavy"),
        "The requests are about speed or resources.",
    ),
    (
        GapCategory.SAFETY,
        _any_of(
            "unsafe safety secret leak validate validation guardrail permission redact sanitise sanitize injection"
        ),
        "The requests are about guarding or validating.",
    ),
    (
        GapCategory.QUALITY,
        _any_of("wrong incorrect inaccurate garbled quality accuracy mistake better"),
        "The requests are about how good the answers are.",
    ),
    (
        GapCategory.INTEGRATION,
        _any_of("connect integrate integration sync api login oauth webhook calendar email slack github database"),
        "The requests are about another system.",
    ),
    (
        GapCategory.KNOWLEDGE,
        _any_of("know knowledge outdated news expertise encyclopedia wikipedia documentation law medical"),
        "The requests are about knowing something.",
    ),
    (
        GapCategory.TOOL,
        _any_of("convert export import format read parse open file pdf csv excel image audio translate calculate"),
        "The requests are about a format or an instrument.",
    ),
)


def classify(evidence: Evidence) -> tuple[GapCategory, str]:
    """Return the kind of a gap and the reason for it."""
    return next(
        ((category, reason) for category, applies, reason in RULES if applies(evidence)),
        (GapCategory.SKILL, "The agent was asked for something it cannot do."),
    )
