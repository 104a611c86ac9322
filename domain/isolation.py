"""Spec 3.1 and 11.1, isolation tiers - decides how strongly a plugin can be walled in, and what outranks what.

Rules:
- `wasm`: the plugin is a component that runs in a WebAssembly machine and calls nothing of the operating system.
- `sandbox`: a process that sees its own files only, in a world of its own without network (Windows: an AppContainer).
- `fenced`: Linux: a process on the host's file system that may open its own files only, without network.
- `contained`: Windows: a process whose memory, processor and children are bounded, and that may write to its own folder
  only; what its owner may read it may read.
- `trusted`: a process with limits on what it uses, and no walls. It is for plugins that a person has approved.
- Each tier outranks those below it. What a machine cannot build is told with what would mend it.

Not here: how the walls are built (`plugins/core/`), which tier a plugin gets (`plugins/core/isolation.py`).
"""

from __future__ import annotations

from enum import StrEnum

from domain.base import Model


class Isolation(StrEnum):
    """How strongly a plugin's process is walled in, the weakest first."""

    TRUSTED = "trusted"
    CONTAINED = "contained"
    FENCED = "fenced"
    SANDBOX = "sandbox"
    WASM = "wasm"

    def reaches(self, least: Isolation) -> bool:
        """Say whether this tier is at least as strong as another."""
        order = list(Isolation)
        return order.index(self) >= order.index(least)


class TierOffer(Model):
    """Whether a machine can build a tier.

    Attributes:
        reason: what is missing; empty when the tier can be built.
        fix: what a person can do about it.
    """

    tier: Isolation
    available: bool
    reason: str = ""
    fix: str = ""
