"""Appendix A, states - decides how a record may move from one state to the next.

Rules:
- A state machine is a table: each state maps to the states that may follow it.
- A state that maps to nothing is final.
- Staying where one is, is always allowed, so that a repeated command is harmless.

Not here: the tables; each stands beside the enum it is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from domain.errors import IllegalTransition

S = TypeVar("S", bound=StrEnum)


def advance(table: Mapping[S, frozenset[S]], current: S, target: S, subject: str) -> S:
    """Return `target` if the table allows it from `current`.

    Args:
        table: state -> states that may follow.
        current: where the record is.
        target: where it should go.
        subject: the record's id, for the message.

    Raises:
        IllegalTransition: the table has no such move.
    """
    if target == current or target in table[current]:
        return target
    allowed = ", ".join(sorted(table[current])) or "nothing, it is final"
    raise IllegalTransition(
        f"{subject} cannot go from {current} to {target}.",
        hint=f"From {current} it can go to: {allowed}.",
    )


def is_final(table: Mapping[S, frozenset[S]], state: S) -> bool:
    """Say whether nothing can follow `state`."""
    return not table[state]
