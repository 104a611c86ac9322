"""Spec 3.2, interface compatibility - decides what is said of two versions of one interface.

Rules:
- Within a major version a method's input may only widen, and what it gives back may only narrow.
- A breach carries the place, the rule and a value that shows it: accepted before and refused now, or given now and
  not allowed before. What can be neither proved nor refuted is said to be unproven, never taken for compatible.

Not here: finding breaches (`engines/compatibility.py`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import JsonValue

from domain.base import Model
from domain.versions import SemanticVersion


class Verdict(StrEnum):
    """What is known of two interfaces."""

    COMPATIBLE = "compatible"
    UNPROVEN = "unproven"
    BREAKING = "breaking"


class Aspect(StrEnum):
    """What of an interface a breach is about."""

    INPUT = "input"
    OUTPUT = "output"
    EVENT = "event"
    PROMISE = "promise"


class Breach(Model):
    """One way in which the new version breaks what the old one promised.

    Attributes:
        capability: the interface.
        member: the method or event, empty when the interface as a whole is meant.
        path: the place in the value, as a JSON path.
        rule: the schema keyword or promise that is broken.
        message: one sentence.
        proven: whether `example` shows it; otherwise it could not be ruled out.
        example: a whole value that shows the breach.
    """

    capability: str
    member: str = ""
    aspect: Aspect
    path: str = "$"
    rule: str
    message: str
    proven: bool = True
    example: JsonValue = None

    def __str__(self) -> str:
        where = f"{self.capability}.{self.member}" if self.member else self.capability
        return f"{where}, {self.aspect} {self.path}: {self.message}"


class InterfaceChange(Model):
    """What became of one capability from one version of a plugin to another."""

    capability: str
    before: SemanticVersion
    after: SemanticVersion | None
    verdict: Verdict
    breaches: tuple[Breach, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether nothing is broken, or the interface's major version says that it is another."""
        return self.verdict is Verdict.COMPATIBLE or self.is_new_major

    @property
    def is_new_major(self) -> bool:
        """Whether the interface is declared to be another."""
        return self.after is not None and self.after.numbers[0] > self.before.numbers[0]


class Compatibility(Model):
    """What a new version of a plugin does to the interfaces of the old one."""

    changes: tuple[InterfaceChange, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether every interface is kept, or declared to be another."""
        return all(change.allowed for change in self.changes)

    @property
    def verdict(self) -> Verdict:
        """The worst of the interfaces' verdicts."""
        verdicts = {change.verdict for change in self.changes}
        worst_first = (Verdict.BREAKING, Verdict.UNPROVEN)
        return next((verdict for verdict in worst_first if verdict in verdicts), Verdict.COMPATIBLE)

    @property
    def breaches(self) -> tuple[Breach, ...]:
        """Every breach of an interface that claims to be the same."""
        return tuple(breach for change in self.changes if not change.is_new_major for breach in change.breaches)
