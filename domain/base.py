"""Appendix A, shared shape - decides how every record of the house is made and read.

Rules:
- Models are frozen, refuse unknown fields, and travel as JSON.
- A moment is always aware of its zone and always UTC.

Not here: the records themselves, one file per concept beside this one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue


class Model(BaseModel):
    """The frozen base of every record."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _to_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""A point in time, normalised to UTC; naive datetimes are refused."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""A number in [0, 1]: a score, a share of traffic, a probability."""

JsonObject = dict[str, JsonValue]
"""A JSON object as it came from, or goes to, the outside."""


def counted(number: int, noun: str) -> str:
    """Return a count with its noun, as people write it: `1 gap`, `2 gaps`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
