"""Spec 4.1, traffic management - decides how one call is answered.

Rules:
- Rate guard, then the table in force, then one version; nothing on this path waits for a disk, a database or the loop.
- The agent never feels a candidate: when it fails through its own fault and the method may be repeated, the control
  answers. When the call never reached the candidate's code, the control answers whatever the method does.
- A version that is not there is stood in for by the route's other version, or by the one a newer table names.
- A call that asks the person is not over: its round is no final record, and the next round goes to the same version,
  for which nobody stands in.
- Every attempt is one record; exactly one of a call's records is final.
- What the agent gets to read of a failure is one sentence; the ledger keeps it without the call's arguments.

Not here: MCP (`gateway/door.py`), what a plugin may answer (`plugins/core/`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from domain.base import JsonObject
from domain.calls import NOT_THE_VERSIONS_FAULT, CallRecord, CapabilityRequest, ErrorKind, RequestKind
from domain.contracts import split_tool_name
from domain.routing import PluginVersion, VariantName
from gateway.identity import Caller
from gateway.in_flight import InFlight
from gateway.journal import Entry
from gateway.metrics import DoorMetrics
from gateway.rate_guard import RateGuard
from gateway.rounds import LONGEST_TALK, Extras, Rounds, Standing
from gateway.samples import SampleSieve, without_arguments
from gateway.table import CurrentTable, RoutedTool
from plugins.core.failures import PluginFailure
from plugins.core.rounds import Asked, Turn

_LOG = logging.getLogger(__name__)
_NEVER_RAN = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.INVALID_ARGUMENTS})
ALONE = Extras()
"""A call that brings nothing but its arguments."""


class Versions(Protocol):
    """What runs the versions: `plugins.core.host.PluginHost`, as far as calls need it."""

    async def call(
        self, version: PluginVersion, capability: str, method: str, arguments: JsonObject, *, turn: Turn = ...
    ) -> JsonObject:
        """Answer, or raise PluginFailure."""


@dataclass(frozen=True)
class Answer:
    """What the agent gets: a result, or questions to the person, or one sentence that says why there is neither.

    Attributes:
        round: the name under which the questions are answered.
    """

    call_id: str
    result: JsonObject | None = None
    error: ErrorKind | None = None
    message: str = ""
    asked: Asked | None = None
    round: str = ""

    @property
    def failed(self) -> bool:
        """Whether there is no result."""
        return self.asked is None and (self.error is not None or self.result is None)

    @property
    def kind(self) -> ErrorKind:
        """What a failure is told as."""
        return self.error or ErrorKind.INTERNAL

    @property
    def sentence(self) -> str:
        """What the agent gets to read of a failure, fit to be sent."""
        return self.message.encode("utf-8", "replace").decode() or "The call failed."


@dataclass(frozen=True)
class Job:
    """One round of a call on its way.

    Attributes:
        number: how many rounds there were before.
    """

    call_id: str
    caller: Caller
    tool: RoutedTool
    arguments: JsonObject
    turn: Turn
    can_ask: bool
    number: int = 0


@dataclass(frozen=True)
class Target:
    """The version that one attempt goes to."""

    tool: RoutedTool
    variant: VariantName
    version: PluginVersion


@dataclass(frozen=True)
class Outcome:
    """How one attempt ended."""

    started_at: datetime
    duration_ms: float
    result: JsonObject | None = None
    error: ErrorKind | None = None
    message: str = ""
    asked: Asked | None = None


@dataclass(frozen=True)
class Ways:
    """What the call path reaches: all of it in memory.

    Attributes:
        record: takes an entry for the ledger without waiting.
        requested: told of every lack that is noticed.
        clock: aware time of day.
        monotonic: seconds that never run backwards.
        new_id: makes ids nobody can guess.
    """

    table: CurrentTable
    versions: Versions
    guard: RateGuard
    metrics: DoorMetrics
    sieve: SampleSieve
    rounds: Rounds
    record: Callable[[Entry], None]
    requested: Callable[[CapabilityRequest], None]
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    new_id: Callable[[], str]


class CallPath:
    """Answers calls.

    Attributes:
        ways: what it reaches.
        in_flight: the calls being answered.
    """

    def __init__(self, ways: Ways) -> None:
        self.ways = ways
        self.in_flight = InFlight()

    async def call(self, caller: Caller, name: str, arguments: JsonObject, extras: Extras = ALONE) -> Answer:
        """Answer one call of a tool.

        Args:
            caller: who calls.
            name: the tool, `<capability>__<method>`.
            arguments: as the agent gave them.
            extras: what comes along with them.
        """
        with self.in_flight.counted():
            return await self._admitted(caller, name, arguments, extras)

    def lacking(self, caller: Caller, kind: RequestKind, text: str) -> None:
        """Remember that an agent lacked something."""
        request = CapabilityRequest(
            id=self.ways.new_id(),
            kind=kind,
            text=text[:2_000] or "(a tool without a name)",
            caller=caller.hash,
            agent=caller.agent,
            requested_at=self.ways.clock(),
        )
        self.ways.record(request)
        self.ways.requested(request)

    def limited(self, caller: Caller) -> str | None:
        """Take one call from the caller's allowance; return what to tell them when it is used up."""
        wait = self.ways.guard.admit(caller.name)
        if wait is None:
            return None
        return f"More than {self.ways.guard.per_minute} calls a minute by one caller; try again in {wait:.1f} seconds."

    async def _admitted(self, caller: Caller, name: str, arguments: JsonObject, extras: Extras) -> Answer:
        call_id = self.ways.new_id()
        if (message := self.limited(caller)) is not None:
            return self._refused(caller, name, Answer(call_id, error=ErrorKind.RATE_LIMITED, message=message))
        tool = self.ways.table.now.tools.get(name)
        if extras.round is not None and tool is not None:
            return await self._resumed(caller, tool, arguments, extras)
        target = _target(tool, tool.variant_for(caller, call_id)) if tool is not None else None
        if tool is None or target is None:
            return self._refused(caller, name, self._no_way(caller, name, call_id))
        job = Job(call_id, caller, tool, arguments, Turn(extras.progress), extras.can_ask)
        return await self._served(job, target)

    async def _resumed(self, caller: Caller, tool: RoutedTool, arguments: JsonObject, extras: Extras) -> Answer:
        """Go on with a call whose person has been asked."""
        resumed = self.ways.rounds.resume(caller.hash, tool.name, arguments, extras)
        if isinstance(resumed, str):
            refusal = Answer(self.ways.new_id(), error=ErrorKind.INVALID_ARGUMENTS, message=resumed)
            return self._refused(caller, tool.name, refusal)
        standing = resumed.standing
        turn = Turn(extras.progress, resumed.state, extras.answers)
        job = Job(standing.call_id, caller, tool, arguments, turn, extras.can_ask, standing.number)
        return await self._served(job, Target(tool, standing.variant, standing.version))

    def _no_way(self, caller: Caller, name: str, call_id: str) -> Answer:
        """Return why no version answers; a tool that nobody knows is a lack."""
        snapshot = self.ways.table.now
        if snapshot.may_have(name):
            message = f"{name} cannot be reached at the moment; try again later."
            return Answer(call_id, error=ErrorKind.UNAVAILABLE, message=message)
        if name in snapshot.tools:
            message = f"{name} is being introduced step by step and is not open to this caller yet."
            return Answer(call_id, error=ErrorKind.NOT_ENABLED, message=message)
        self.lacking(caller, RequestKind.UNKNOWN_TOOL, name)
        return Answer(
            call_id, error=ErrorKind.UNKNOWN_TOOL, message=_no_such_tool(name, snapshot.closest(name, caller))
        )

    async def _served(self, job: Job, target: Target) -> Answer:
        tried: set[str] = set()
        while True:
            outcome = await self._attempt(job, target)
            if outcome.asked is not None and job.can_ask and job.number < LONGEST_TALK:
                return self._asking(job, target, outcome, outcome.asked)
            tried.add(target.version.digest)
            following = self._stand_in(job, target, outcome, tried)
            self._remember(job, target, outcome, final=following is None)
            if following is None:
                return Answer(job.call_id, outcome.result, outcome.error, outcome.message)
            target = following

    def _asking(self, job: Job, target: Target, outcome: Outcome, asked: Asked) -> Answer:
        """Keep the call for its next round, and return what is asked."""
        self._remember(job, target, outcome, final=False)
        standing = Standing(
            call_id=job.call_id,
            caller=job.caller.hash,
            tool=job.tool.name,
            arguments=job.arguments,
            variant=target.variant,
            version=target.version,
            number=job.number + 1,
        )
        return Answer(job.call_id, asked=asked, round=self.ways.rounds.keep(standing, asked))

    async def _attempt(self, job: Job, target: Target) -> Outcome:
        started_at, started = self.ways.clock(), self.ways.monotonic()

        def ended(result: JsonObject | None = None, error: ErrorKind | None = None, message: str = "") -> Outcome:
            return Outcome(started_at, (self.ways.monotonic() - started) * 1_000, result, error, message)

        try:
            result = await self.ways.versions.call(
                target.version, job.tool.route.capability, job.tool.method, job.arguments, turn=job.turn
            )
        except Asked as asked:
            return replace(ended(error=asked.kind, message=asked.message), asked=asked)
        except PluginFailure as failure:
            return ended(error=failure.kind, message=_told(failure, job.call_id))
        except asyncio.CancelledError:
            self._remember(job, target, ended(error=ErrorKind.CANCELLED, message="The caller went away."), final=True)
            raise
        except Exception:
            _LOG.exception("Call %s of %s failed inside the gateway.", job.call_id, job.tool.name)
            return ended(error=ErrorKind.INTERNAL, message=f"The gateway failed; its log has call {job.call_id}.")
        return ended(result)

    def _stand_in(self, job: Job, target: Target, outcome: Outcome, tried: set[str]) -> Target | None:
        """Return who answers in place of a version that failed, None when its answer stands."""
        if outcome.error is None or job.number:
            return None
        options = (option for option in self._options(job, target, outcome.error) if option is not None)
        return next((option for option in options if option.version.digest not in tried), None)

    def _options(self, job: Job, target: Target, error: ErrorKind) -> Iterator[Target | None]:
        other = VariantName.CONTROL if target.variant is VariantName.CANDIDATE else VariantName.CANDIDATE
        if error is ErrorKind.UNAVAILABLE or (other is VariantName.CONTROL and _may_repeat(target, error)):
            yield _target(target.tool, other)
        if error is ErrorKind.UNAVAILABLE:
            newer = self.ways.table.now.tools.get(job.tool.name)
            if newer is not None:
                yield _target(newer, newer.variant_for(job.caller, job.call_id))

    def _remember(self, job: Job, target: Target, outcome: Outcome, *, final: bool) -> None:
        route = target.tool.route
        record = CallRecord(
            call_id=job.call_id,
            final=final,
            capability=route.capability,
            method=job.tool.method,
            variant=target.variant,
            version=target.version.id,
            upgrade_id=route.upgrade_id,
            caller=job.caller.hash,
            agent=job.caller.agent,
            started_at=outcome.started_at,
            duration_ms=outcome.duration_ms,
            error=outcome.error,
            error_message=without_arguments(outcome.message, job.arguments),
        )
        self.ways.record(record)
        self.ways.metrics.count(record)
        if outcome.error is None and target.tool.replayable:
            sample = self.ways.sieve.take(route.capability, job.tool.method, job.arguments, outcome.started_at)
            if sample is not None:
                self.ways.record(sample)

    def _refused(self, caller: Caller, name: str, answer: Answer) -> Answer:
        capability, method = split_tool_name(name) or (name, "")
        record = CallRecord(
            call_id=answer.call_id,
            capability=capability[:64],
            method=method[:64],
            caller=caller.hash,
            agent=caller.agent,
            started_at=self.ways.clock(),
            duration_ms=0,
            error=answer.error,
            error_message=answer.message[:200],
        )
        self.ways.record(record)
        self.ways.metrics.count(record)
        return answer


def _target(tool: RoutedTool, variant: VariantName | None) -> Target | None:
    """Return the version behind a variant, None when there is none or it lacks the method."""
    version = tool.route.version_of(variant) if variant in tool.signatures and variant is not None else None
    return Target(tool, variant, version) if version is not None and variant is not None else None


def _may_repeat(target: Target, error: ErrorKind) -> bool:
    """Say whether another version may answer after this failure."""
    return error in _NEVER_RAN or (target.tool.repeatable and error not in NOT_THE_VERSIONS_FAULT)


def _told(failure: PluginFailure, call_id: str) -> str:
    """Return what the agent reads of a failure; a call that nobody knows the end of has to be spoken about later."""
    if failure.kind is ErrorKind.OUTCOME_UNKNOWN:
        return f"{failure.message} This was call {call_id}; look whether it was done before it is made again."
    return failure.message


def _no_such_tool(name: str, closest: list[str]) -> str:
    near = f" The closest are {', '.join(closest)}." if closest else ""
    return (
        f"There is no tool {name[:100]!r} here.{near} "
        "Search with find_capability; if nothing fits, say what is missing with request_capability."
    )
