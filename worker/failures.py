"""Spec 9.1, failures at the border - decides which failures of an activity Temporal tries again.

Rules:
- A service that does not answer is tried again.
- Everything else the house knows by name is hopeless: it fails the step at once, with its message and its hint.
- Anything the house does not know is tried again as often as the activity's policy says.

Not here: the policies (`workflows/hands.py`).
"""

from __future__ import annotations

from typing import Any

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.errors import ServiceUnreachable, UpgradeLoopError


class FailureInterceptor(Interceptor):
    """Translates the house's errors into Temporal's."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's own name
        """Wrap an activity."""
        return _Translating(next)


class _Translating(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - Temporal's own name
        try:
            return await super().execute_activity(input)
        except ServiceUnreachable as failure:
            raise ApplicationError(
                failure.message, type=failure.code, category=ApplicationErrorCategory.BENIGN
            ) from failure
        except UpgradeLoopError as failure:
            message = f"{failure.message} {failure.hint}".strip()
            raise ApplicationError(message, failure.details, type=failure.code, non_retryable=True) from failure
