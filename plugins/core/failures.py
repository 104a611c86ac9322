"""Spec 9.1, failures of one call - decides how a plugin's failure reaches the door.

Rules:
- A failed call carries the kind that the ledger records and a text without the call's arguments.

Not here: failures to bring a version up, which are `PluginRegistrationFailed`.
"""

from __future__ import annotations

from domain.base import JsonObject
from domain.calls import ErrorKind
from domain.errors import UpgradeLoopError


class PluginFailure(UpgradeLoopError):
    """A call that a plugin did not answer as its contract promises.

    Args:
        kind: what the ledger records.
        message: what happened, to which plugin.
    """

    code = "plugin_failure"

    def __init__(self, kind: ErrorKind, message: str, *, hint: str = "", details: JsonObject | None = None) -> None:
        super().__init__(message, hint=hint, details=details)
        self.kind = kind
