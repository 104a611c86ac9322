"""Appendix B, approve_upgrade and reject_upgrade - decides what a person's word looks like on its way to an upgrade.

Rules:
- A command names who gives it and may carry a reason; one without a name is refused.
- A command that was refused is remembered as well as one that was taken.

Not here: whether the person may give it (`domain/roles.py`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.base import Model, Moment


class ApprovalVerdict(StrEnum):
    """A person's answer."""

    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Order(Model):
    """A person's command to a workflow: the argument of every Update and Signal.

    Attributes:
        actor: who gives it.
        reason: why, in their words.
        request_id: makes a repeated signal count once.
    """

    actor: str = Field(default="", max_length=200)
    reason: str = Field(default="", max_length=2_000)
    request_id: str | None = None


class Approval(Model):
    """An answer as it is remembered."""

    id: str
    upgrade_id: str
    opportunity_id: str
    verdict: ApprovalVerdict
    actor: str
    reason: str = ""
    at: Moment
