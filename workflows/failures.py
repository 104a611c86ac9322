"""Spec 9.1, failures inside a workflow - decides which of them end a saga, and what a person is told of them.

Rules:
- A cancellation or a failed activity, child or timer ends the saga in order; it is taken back.
- Anything else is a mistake in the workflow's own code; it must stay a failing workflow task, so that a mended
  worker can go on where this one stopped.

Not here: taking back (`workflows/rollback.py`).
"""

from __future__ import annotations

import asyncio

from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, FailureError, TimeoutError  # noqa: A004 - Temporal's own name

EXITS = (asyncio.CancelledError, FailureError)
"""What may end a workflow in order. `asyncio.CancelledError` is no `Exception`: a bare `except Exception` misses it."""


def reason_of(failure: BaseException) -> str:
    """Return what a person is told of a failure, without the layers Temporal wraps around it.

    The sentence is that of the first failure that an activity or a workflow of ours raised: it carries the hint. What
    lies below is where that one came from.
    """
    layers = [failure]
    while layers[-1].__cause__ is not None:
        layers.append(layers[-1].__cause__)
    if isinstance(layers[-1], asyncio.CancelledError | CancelledError):
        return "cancelled"
    told = next((layer for layer in layers if isinstance(layer, ApplicationError)), layers[-1])
    sentence = told.message if isinstance(told, FailureError) else str(told)
    activity = next((layer.activity_type for layer in layers if isinstance(layer, ActivityError)), "")
    if isinstance(told, TimeoutError) and activity:
        return f"{activity} took too long: {sentence}"
    return sentence or type(told).__name__
