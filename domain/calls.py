"""Spec 7.2, metrics collection - decides what the ledger remembers of a call.

Rules:
- One record for every attempt to serve a call; `final` marks the one whose answer the caller saw.
- Counts travel, never ratios: `n`, `bad` and `slow`, so 0/0 and NaN cannot occur.
- A caller is remembered by a keyed hash; arguments are kept only as replay samples of methods without side effects.

Not here: writing the ledger (`store/calls.py`), judging counts (`engines/rollouts.py`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from domain.base import JsonObject, Model, Moment
from domain.routing import VariantName


class ErrorKind(StrEnum):
    """Why a call failed."""

    INVALID_ARGUMENTS = "invalid_arguments"
    TOOL_ERROR = "tool_error"
    INVALID_RESULT = "invalid_result"
    PLUGIN_CRASH = "plugin_crash"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    OUTCOME_UNKNOWN = "outcome_unknown"
    INPUT_REQUIRED = "input_required"
    NOT_ENABLED = "not_enabled"
    UNKNOWN_TOOL = "unknown_tool"
    RATE_LIMITED = "rate_limited"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


NOT_THE_VERSIONS_FAULT = frozenset(
    {
        ErrorKind.INVALID_ARGUMENTS,
        ErrorKind.INPUT_REQUIRED,
        ErrorKind.NOT_ENABLED,
        ErrorKind.UNKNOWN_TOOL,
        ErrorKind.RATE_LIMITED,
        ErrorKind.CANCELLED,
    }
)
"""Errors that say nothing about the version that would have answered; gates do not count them."""

FAILED_BY_LOOP = frozenset(
    {
        ErrorKind.INVALID_RESULT,
        ErrorKind.PLUGIN_CRASH,
        ErrorKind.TIMEOUT,
        ErrorKind.UNAVAILABLE,
        ErrorKind.OUTCOME_UNKNOWN,
        ErrorKind.INTERNAL,
    }
)
"""Errors a caller would never see if there were no loop between them and a sound plugin."""


class CallRecord(Model):
    """One attempt to serve one call.

    Attributes:
        call_id: shared by the attempts of one call.
        final: whether the caller saw this attempt's answer.
        variant: control or candidate, None when no version was reached.
        version: `name@version` that was tried.
        caller: keyed hash of who called.
        duration_ms: wall time of the attempt.
        error_message: short text of the failure, at most 200 characters, never arguments.
    """

    call_id: str
    final: bool = True
    capability: str
    method: str
    variant: VariantName | None = None
    version: str | None = None
    upgrade_id: str | None = None
    caller: str
    agent: str = ""
    started_at: Moment
    duration_ms: float = Field(ge=0)
    error: ErrorKind | None = None
    error_message: str = Field(default="", max_length=200)

    @property
    def failed_by_loop(self) -> bool:
        """Whether the caller saw a failure that the loop is answerable for.

        A tool's own error counts only when a candidate gave it: the control might have answered.
        """
        if not self.final or self.error is None:
            return False
        candidate_error = self.error is ErrorKind.TOOL_ERROR and self.variant is VariantName.CANDIDATE
        return self.error in FAILED_BY_LOOP or candidate_error


class ReplaySample(Model):
    """Arguments of a real call of a method without side effects, kept for paired replay."""

    capability: str
    method: str
    arguments: JsonObject
    recorded_at: Moment


class RequestKind(StrEnum):
    """How a lack was noticed."""

    ASKED = "asked"
    UNKNOWN_TOOL = "unknown_tool"


class CapabilityRequest(Model):
    """Something the agent or its person lacked, in their own words or as the name of a tool that is not there."""

    id: str
    kind: RequestKind
    text: str = Field(min_length=1, max_length=2_000)
    caller: str
    agent: str = ""
    requested_at: Moment


class OutcomeReport(Model):
    """How a task ended, as the agent reports it."""

    id: str
    call_id: str | None = None
    success: bool
    note: str = Field(default="", max_length=2_000)
    caller: str
    reported_at: Moment


class CallSlice(Model):
    """What happened to the calls of one version in one slice of time.

    Attributes:
        index: which slice, counted from 0.
        n: attempts that say something about the version.
        bad: those that failed through the version's fault.
        slow: for each limit that was asked for, those slower than it.
        callers: how many called.
    """

    version: str
    index: int
    n: int
    bad: int
    slow: tuple[int, ...] = ()
    callers: int = 0
    last_seen: Moment


class MethodUsage(Model):
    """How one method was used in one window: the input of gap and bottleneck detection."""

    capability: str
    method: str
    version: str | None = None
    n: int = Field(ge=0)
    bad: int = Field(ge=0)
    callers: int = Field(ge=0)
    total_ms: float = Field(ge=0)
    p95_ms: float = Field(ge=0)


class CallTotals(Model):
    """How all calls that the ledger still remembers ended; each call counts once, by the answer its caller saw."""

    total: int = Field(default=0, ge=0)
    failed_by_loop: int = Field(default=0, ge=0)
