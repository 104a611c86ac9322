"""Spec 2.1, user request analysis - decides what is kept of what agents lacked and of how their tasks ended.

Rules:
- A request or report with a known id is kept once.

Not here: making gaps of them (`engines/gaps.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from domain.calls import CapabilityRequest, OutcomeReport
from store.journal import Journal, Line
from store.sessions import Sessions
from store.tables import OutcomeRow, RequestRow


class Requests:
    """Everything that was lacking."""

    def __init__(self, sessions: Sessions) -> None:
        self._journal = Journal(sessions, RequestRow, CapabilityRequest)

    def append(self, requests: Sequence[CapabilityRequest]) -> None:
        """Keep requests."""
        self._journal.append(Line(request.id, request.caller, request.requested_at, request) for request in requests)

    def since(self, moment: datetime) -> list[CapabilityRequest]:
        """Return the requests made at a moment or after it, oldest first."""
        return self._journal.since(moment)


class Outcomes:
    """Everything that agents reported of their tasks."""

    def __init__(self, sessions: Sessions) -> None:
        self._journal = Journal(sessions, OutcomeRow, OutcomeReport)

    def append(self, reports: Sequence[OutcomeReport]) -> None:
        """Keep reports."""
        self._journal.append(Line(report.id, report.caller, report.reported_at, report) for report in reports)

    def since(self, moment: datetime) -> list[OutcomeReport]:
        """Return the reports made at a moment or after it, oldest first."""
        return self._journal.since(moment)
