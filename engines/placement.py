"""Spec 4.1, placement - decides in which of ten thousand slots a unit lies.

Rules:
- A unit's slot depends on hash id, salt and unit alone: it is the same in every process, on every day, on every system.
- `xxh3-64/1`: the salt's XXH3-64 seeds the unit's, and the 64 bits are scaled by multiply-shift (Lemire, "Fast random
  integer generation in an interval", ACM TOMACS 29(1), 2019), which favours no slot by more than 1 in 2^50.
- `growthbook-v2` and `unleash-murmur3` place units as GrowthBook's hash of version 2 and Unleash's gradual rollout do,
  so that a team that comes from there keeps every user where they are. Unleash knows a hundred places only.
- Which slots a share owns belongs to the placement: GrowthBook counts the slot at the share's end in.

Sources: GrowthBook, "Build your own SDK", hashing; Unleash client specification, gradual rollout; xxHash specification.

Not here: who owns which slots (`engines/routing.py`, `engines/slots.py`).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import mmh3
import xxhash

from domain.routing import HashId

SLOTS: Final = 10_000
UNLEASH_PLACES: Final = 100
FNV_START: Final = 0x811C9DC5
FNV_PRIME: Final = 0x01000193


def slot(salt: str, unit: str, hash_id: HashId = HashId.XXH3) -> int:
    """Place a unit in one of the slots 0..9999.

    Args:
        salt: text that belongs to one rollout; another salt is an independent placement.
        unit: id of the caller, agent, session or call that is placed as a whole.
        hash_id: how.
    """
    return placer(salt, hash_id)(unit)


def placer(salt: str, hash_id: HashId = HashId.XXH3) -> Callable[[str], int]:
    """Return what places units; arguments as `slot`."""
    if hash_id is not HashId.XXH3:
        return partial(_OTHERS[hash_id], salt)
    seed = xxhash.xxh3_64_intdigest(_bytes(salt))

    def place(unit: str) -> int:
        return (xxhash.xxh3_64_intdigest(unit.encode("utf-8", "surrogatepass"), seed) * SLOTS) >> 64

    return place


def slots_of(share: float, hash_id: HashId = HashId.XXH3) -> int:
    """Return how many slots, counted from 0, a share in [0, 1] owns."""
    owned = round(share * SLOTS)
    return min(owned + 1, SLOTS) if hash_id is HashId.GROWTHBOOK and owned else owned


def fnv1a_32(text: str) -> int:
    """Return the 32-bit FNV-1a (Fowler, Noll, Vo, 1991) of a text's UTF-16 units, which GrowthBook's SDKs walk over."""
    digest = FNV_START
    for unit in array("H", text.encode("utf-16-le", "surrogatepass")):
        digest = ((digest ^ unit) * FNV_PRIME) & 0xFFFFFFFF
    return digest


def _growthbook(salt: str, unit: str) -> int:
    return fnv1a_32(str(fnv1a_32(salt + unit))) % SLOTS


def _unleash(salt: str, unit: str) -> int:
    """Return the last slot of the place, so that a share owns the places that it owns whole."""
    place = mmh3.hash(_bytes(f"{salt}:{unit}"), 0, signed=False) % UNLEASH_PLACES
    return (place + 1) * (SLOTS // UNLEASH_PLACES) - 1


_OTHERS: Mapping[HashId, Callable[[str, str], int]] = {HashId.GROWTHBOOK: _growthbook, HashId.UNLEASH: _unleash}


def _bytes(text: str) -> bytes:
    # A lone surrogate, which JSON can carry, gets a place like any other text instead of an exception.
    return text.encode("utf-8", "surrogatepass")
