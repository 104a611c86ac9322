"""Spec 8.3, compensating actions - decides what takes a step back, as data a later process can run.

Rules:
- A compensation is written before its step acts, and is harmless if the step never did.
- Running it twice is the same as running it once.
- They run in reverse order; one that fails does not stop the others.

Not here: running them (`activities/compensations.py`), keeping them (`store/compensations.py`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.base import JsonObject, Model, Moment


class CompensationKind(StrEnum):
    """What can be taken back."""

    RESTORE_SNAPSHOT = "restore_snapshot"
    RESTORE_ROUTE = "restore_route"
    REMOVE_PLUGIN = "remove_plugin"
    CLOSE_EXPERIMENT = "close_experiment"
    RELEASE_SLOT = "release_slot"


class CompensationState(StrEnum):
    """Where a compensation stands."""

    REGISTERED = "registered"
    DONE = "done"
    FAILED = "failed"
    NOT_NEEDED = "not_needed"


class CompensatingAction(Model):
    """What takes one step of one upgrade back.

    Attributes:
        id: `<upgrade id>/<step name>`, the idempotency key.
        sequence: order of registration within the upgrade, from 1.
    """

    id: str
    upgrade_id: str
    step: str
    sequence: int = Field(ge=1)
    kind: CompensationKind
    arguments: JsonObject = Field(default_factory=dict)
    state: CompensationState = CompensationState.REGISTERED
    registered_at: Moment
    error: str = ""


class ActionResult(Model):
    """What became of one compensation."""

    action_id: str
    success: bool
    error: str = ""


class CompensationResult(Model):
    """What became of all of them, in the order they were run."""

    total: int = Field(ge=0)
    successful: int = Field(ge=0)
    failed: int = Field(ge=0)
    details: tuple[ActionResult, ...] = ()


class RollbackType(StrEnum):
    """The four ways of 8.1 to take an upgrade back."""

    FULL = "full"
    PARTIAL = "partial"
    COMPENSATING = "compensating"
    GRADUAL = "gradual"


class RollbackResult(Model):
    """How a rollback ended."""

    upgrade_id: str
    type: RollbackType
    success: bool
    reason: str
    compensation: CompensationResult
    seconds: float = Field(ge=0)
