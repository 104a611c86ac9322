"""Spec 10.2, integration points - decides which events the loop tells the world about.

Rules:
- An event names its type, its subject and one sentence for a person.

Not here: how it is delivered (`activities/notifications.py`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.base import JsonObject, Model, Moment


class EventType(StrEnum):
    """The events of 10.2, and the ones a person needs beside them."""

    CAPABILITY_REQUESTED = "capability_requested"
    PATTERN_DETECTED = "pattern_detected"
    APPROVAL_NEEDED = "approval_needed"
    UPGRADE_APPROVED = "upgrade_approved"
    UPGRADE_REJECTED = "upgrade_rejected"
    UPGRADE_DEPLOYED = "upgrade_deployed"
    UPGRADE_ROLLED_BACK = "upgrade_rolled_back"
    UPGRADE_FAILED = "upgrade_failed"
    ROLLOUT_NEEDS_ATTENTION = "rollout_needs_attention"


class Event(Model):
    """Something the world may want to know."""

    type: EventType
    subject: str
    message: str
    at: Moment
    detail: JsonObject = Field(default_factory=dict)
