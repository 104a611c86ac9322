"""Spec 9.1, failures inside a workflow - decides which of them end a saga, and what a person is told of them.

Rules:
- A cancellation or a failed activity, child or timer ends the saga in order; it is taken back.
- Anything else is a mistake in the workflow's own code; it must stay a failing workflow task, so that a mended
  worker can go on where this one stopped.

Not here: taking back (`workflows/rollback.py`).
"""

from __future__ import annotations

import asyncio

from temporalio.exceptions import CancelledError, FailureError

EXITS = (asyncio.CancelledError, FailureError)
"""What may end a workflow in order. `asyncio.CancelledError` is no `Exception`: a bare `except Exception` misses it."""


def reason_of(failure: BaseException) -> str:
    """Return the innermost message of a failure, without the layers Temporal wraps around it."""
    innermost = failure
    while innermost.__cause__ is not None:
        innermost = innermost.__cause__
    if isinstance(innermost, asyncio.CancelledError | CancelledError):
        return "cancelled"
    told = innermost.message if isinstance(innermost, FailureError) else str(innermost)
    return told or type(innermost).__name__
