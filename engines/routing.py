"""Spec 4.1 and 5.1, assignment - decides which version of a capability answers a caller.

Rules:
- A unit's slot depends on the salt and the unit alone: it is the same in every process, on every day, on every system.
- The candidate owns the slots from 0 up to its share, so a growing share takes nobody back to the control.
- An allowed caller is served by the candidate whatever the share; a missing candidate leaves everything to the control.
- `HASH_ID` names the placement. Another hash, or another way to seed it, is another id and never a silent change.

Not here: who the caller is and what happens when the version fails (`gateway/`).
"""

from __future__ import annotations

from typing import Final

import xxhash

from domain.routing import Route, VariantName

HASH_ID: Final = "xxh3-64/1"
SLOTS: Final = 10_000


def slot(salt: str, unit: str) -> int:
    """Place a unit in one of the slots 0..9999.

    The salt's XXH3-64 seeds the unit's XXH3-64, and the 64 bits are scaled by multiply-shift (Lemire, "Fast random
    integer generation in an interval", ACM TOMACS 29(1), 2019), which favours no slot by more than 1 in 2^50.

    Args:
        salt: text that belongs to one rollout; another salt is an independent placement.
        unit: id of the caller, agent, session or call that is placed as a whole.

    Returns:
        A number from 0 to 9999.
    """
    seed = xxhash.xxh3_64_intdigest(_bytes(salt))
    return (xxhash.xxh3_64_intdigest(_bytes(unit), seed=seed) * SLOTS) >> 64


def slots_of(share: float) -> int:
    """Return how many slots, counted from 0, a share in [0, 1] owns."""
    return round(share * SLOTS)


def choose(route: Route, unit: str, caller: str) -> VariantName | None:
    """Choose the version that answers.

    Args:
        route: who serves the capability.
        unit: id of what the route assigns as a whole (`route.unit` says which kind).
        caller: id of the caller, looked up in the route's allow-list.

    Returns:
        The variant, or None when the capability is new and not yet enabled for this caller.
    """
    if route.candidate is not None and (
        caller in route.allowed_callers or slot(route.salt, unit) < slots_of(route.share)
    ):
        return VariantName.CANDIDATE
    return VariantName.CONTROL if route.control is not None else None


def _bytes(text: str) -> bytes:
    # A lone surrogate, which JSON can carry, gets a place like any other text instead of an exception.
    return text.encode("utf-8", "surrogatepass")
