"""Spec 9.1, stored values - decides how moments, texts and keys lie in a column on both engines.

Rules:
- A moment goes in aware and comes out in UTC; what is stored compares in the order of time. A naive one is refused.
- A text never carries NUL, which PostgreSQL cannot hold; it is replaced by U+FFFD on every engine alike.
- JSON is text to the letter, without NaN or infinity, which no JSON has.

Not here: which columns there are (`store/tables.py`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text, TypeDecorator
from sqlalchemy.types import TypeEngine


class UtcMoment(TypeDecorator[datetime]):
    """A moment: `timestamptz` on PostgreSQL, text of fixed width on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Bring a moment to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class CleanText(TypeDecorator[str]):
    """A text without NUL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what PostgreSQL refuses."""
        del dialect
        return None if value is None else clean(value)


class BigKey(TypeDecorator[int]):
    """A 64-bit whole number that both engines can count up by themselves."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Name the type `INTEGER` on SQLite, where only that counts up."""
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else BigInteger())


def clean(text: str) -> str:
    """Return a text as it can be stored on every engine."""
    return str(text).replace("\x00", "\ufffd")


def to_json(value: object) -> str:
    """Return compact JSON text.

    Raises:
        ValueError: the value holds NaN or infinity.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
