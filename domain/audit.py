"""Spec 9.1, audit logger - decides what an audit entry is and how entries hold each other fast.

Rules:
- Entries are numbered from 1 without holes; each carries the hash of the one before it.
- The hash covers every field of the entry but itself, as canonical JSON; one changed, removed or reordered entry breaks
  the chain from there on.

Not here: appending and verifying (`store/audit.py`).
"""

from __future__ import annotations

import hashlib
import json

from pydantic import Field

from domain.base import JsonObject, Model, Moment

GENESIS = "0" * 64


class AuditEntry(Model):
    """One thing that happened.

    Attributes:
        key: what makes the entry unique; appending it twice leaves one entry.
        actor: who did it: a person, a workflow, the gateway.
        action: what was done, as `noun.verb`.
        subject: the id it was done to.
    """

    sequence: int = Field(ge=1)
    key: str
    at: Moment
    actor: str
    action: str
    subject: str
    detail: JsonObject = Field(default_factory=dict)
    previous_hash: str
    hash: str = ""

    def computed_hash(self) -> str:
        """Return the SHA-256 the entry ought to carry."""
        content = self.model_dump(mode="json", exclude={"hash"})
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def sealed(self) -> AuditEntry:
        """Return the entry with its hash in place."""
        return self.model_copy(update={"hash": self.computed_hash()})


class AuditVerification(Model):
    """What a walk along the chain found."""

    entries: int = Field(ge=0)
    ok: bool
    first_bad: int | None = None
    reason: str = ""
