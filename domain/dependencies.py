"""Spec 6.1, dependency resolution - decides what a resolution and an installation plan say.

Rules:
- A resolution is resolved, or names what is missing or contradicts in words a person understands.

Not here: the solver (`engines/dependencies.py`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.base import Model
from domain.versions import SemanticVersion


class ResolutionStatus(StrEnum):
    """How a resolution ended."""

    RESOLVED = "resolved"
    CONFLICT = "conflict"
    NOT_FOUND = "not_found"


class DependencyResolution(Model):
    """Which versions a package needs, in the order to install them."""

    status: ResolutionStatus
    assignments: dict[str, SemanticVersion] = Field(default_factory=dict)
    install_order: tuple[str, ...] = ()
    explanation: str = ""
