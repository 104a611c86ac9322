"""Spec 4.1 and 5.1, assignment - decides which version of a capability answers a caller.

Rules:
- The candidate owns the slots from 0 up to its share, so a growing share takes nobody back to the control.
- Where callers are few, a share of slots may hold none of them, or all. Then it is their ranks that count: the
  candidate serves the first `ceil(share * callers)` of those known when the rollout began. That is nested like slots
  are, and never empty. Who comes later is placed by slot.
- An allowed caller is served by the candidate whatever the share; a missing candidate leaves everything to the control.

Not here: who the caller is and what happens when the version fails (`gateway/`), slots (`engines/placement.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Final

from domain.routing import Route, VariantName
from engines.placement import placer, slot, slots_of

FEW: Final = 200
"""Callers; with more of them a share of 1 % holds somebody in 87 of 100 placements."""
ROUNDING: Final = 1e-9


class Router:
    """A route, prepared to be asked for every call.

    Args:
        route: who serves the capability.
    """

    def __init__(self, route: Route) -> None:
        self._candidate = route.candidate is not None
        self._otherwise = VariantName.CONTROL if route.control is not None else None
        self._allowed = frozenset(route.allowed_callers)
        size = cohort_size(route.share, len(route.population))
        self._ranked = {caller: rank < size for rank, caller in enumerate(route.population)}
        self._place = placer(route.salt, route.hash_id)
        self._cut = slots_of(route.share, route.hash_id)

    def choose(self, unit: str, caller: str, caller_hash: str = "") -> VariantName | None:
        """Choose the version that answers.

        Args:
            unit: id of what the route assigns as a whole (`route.unit` says which kind).
            caller: id of the caller, looked up in the route's allow-list.
            caller_hash: the caller as the ledger knows it, looked up in the route's population.

        Returns:
            The variant, or None when the capability is new and not yet enabled for this caller.
        """
        if self._candidate and (caller in self._allowed or self._is_in_share(unit, caller_hash)):
            return VariantName.CANDIDATE
        return self._otherwise

    def _is_in_share(self, unit: str, caller_hash: str) -> bool:
        known = self._ranked.get(caller_hash)
        return self._place(unit) < self._cut if known is None else known


def ranked(salt: str, callers: Iterable[str]) -> tuple[str, ...]:
    """Return callers in the order in which a growing share takes them in; nobody if they are not few."""
    known = set(callers)
    return tuple(sorted(known, key=lambda caller: (slot(salt, caller), caller))) if len(known) < FEW else ()


def cohort_size(share: float, callers: int) -> int:
    """Return how many of `callers` a share in [0, 1] takes in; somebody as soon as it is not 0."""
    return ceil(share * callers - ROUNDING)
