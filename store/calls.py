"""Spec 7.2, metrics collection - decides how the ledger is written and counted.

Rules:
- A batch of attempts is one statement and one transaction: all of them are in the ledger, or none is.
- A window is half open: its first moment belongs to it, its last one does not.
- Attempts that say nothing about the version (`NOT_THE_VERSIONS_FAULT`) are kept, and counted for no version.
- Counting is SQL's work; only the counts travel.

Not here: what an attempt is (`domain/calls.py`), collecting them (`gateway/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    and_,
    case,
    delete,
    distinct,
    func,
    insert,
    literal,
    or_,
    select,
    union_all,
)
from sqlmodel import col

from domain.calls import (
    FAILED_BY_LOOP,
    NOT_THE_VERSIONS_FAULT,
    CallRecord,
    CallSlice,
    CallTotals,
    ErrorKind,
    MethodUsage,
)
from domain.routing import VariantName
from store.columns import UtcMoment
from store.sessions import Sessions
from store.tables import CallRow, table_of

PRUNE_BATCH = 5_000
"""Rows deleted in one transaction, so that the ledger's writer never waits long."""


class Calls:
    """The ledger."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def append(self, records: Sequence[CallRecord]) -> None:
        """Add attempts, in one transaction and one statement.

        Cost: about 10 microseconds for each record, and one commit.
        """
        if not records:
            return
        rows = [record.model_dump() for record in records]
        with self._sessions.writing() as session:
            session.connection().execute(insert(table_of(CallRow)), rows)

    def sliced(
        self, capability: str, versions: Sequence[str], bounds: Sequence[datetime], slow_over_ms: Sequence[float] = ()
    ) -> list[CallSlice]:
        """Count what happened to versions, slice of time by slice of time; slices without calls are left out.

        Args:
            capability: whose calls.
            versions: `name@version`, as in the records.
            bounds: the first moment of each slice, and the moment after the last one's end.
            slow_over_ms: for each of them, attempts that took longer are counted.

        Cost: one statement, and one pass over the versions' attempts in the window, found by index.
        """
        slices = _slices(bounds)
        at, version = slices.c.index, col(CallRow.version)
        inside = and_(col(CallRow.started_at) >= slices.c.first, col(CallRow.started_at) < slices.c.end)
        query = (
            select(
                at,
                version,
                func.count(),
                _number_of(col(CallRow.error).is_not(None)),
                func.count(distinct(col(CallRow.caller))),
                func.max(col(CallRow.started_at)),
                *(_number_of(col(CallRow.duration_ms) > limit) for limit in slow_over_ms),
            )
            .select_from(slices)
            .join(table_of(CallRow), inside)
            .where(col(CallRow.capability) == capability, version.in_(versions), _says_something())
            .group_by(at, version)
            .order_by(at, version)
        )
        with self._sessions.reading() as session:
            rows = session.connection().execute(query).all()
        return [
            CallSlice(index=index, version=name, n=n, bad=bad, callers=callers, last_seen=last, slow=tuple(slow))
            for index, name, n, bad, callers, last, *slow in rows
        ]

    def callers(self, capability: str, since: datetime, until: datetime, most: int) -> list[str]:
        """Return who called a capability in a window, by their hashes; `most` of them at the most, in no order.

        Cost: one pass over the capability's attempts in the window, found by index.
        """
        query = (
            select(col(CallRow.caller))
            .where(col(CallRow.capability) == capability, _within(since, until))
            .distinct()
            .limit(most)
        )
        with self._sessions.reading() as session:
            return list(session.connection().execute(query).scalars())

    def usage(self, since: datetime, until: datetime) -> list[MethodUsage]:
        """Return how each version of each method was used in a window, most used first.

        The 95th percentile is the nearest rank: the least duration that 95 of 100 attempts do not exceed.

        Cost: one sort of the attempts in the window, in the database.
        """
        with self._sessions.reading() as session:
            rows = session.connection().execute(_usage_query(since, until)).mappings().all()
        return [MethodUsage.model_validate(dict(row)) for row in rows]

    def totals(self) -> CallTotals:
        """Count all calls that are in the ledger, by the answer each caller saw.

        Cost: one pass over the ledger.
        """
        candidate_error = and_(
            col(CallRow.error) == ErrorKind.TOOL_ERROR, col(CallRow.variant) == VariantName.CANDIDATE
        )
        failed = or_(col(CallRow.error).in_(FAILED_BY_LOOP), candidate_error)
        query = select(func.count(), _number_of(failed)).where(col(CallRow.final).is_(True))
        with self._sessions.reading() as session:
            total, failures = session.connection().execute(query).one()
        return CallTotals(total=total, failed_by_loop=failures)

    def prune(self, before: datetime) -> int:
        """Forget the attempts that started before a moment, a batch at a time; return how many there were."""
        started, position = col(CallRow.started_at), col(CallRow.position)
        batch = select(position).where(started < before).order_by(started).limit(PRUNE_BATCH).scalar_subquery()
        forgotten = 0
        while True:
            with self._sessions.writing() as session:
                gone = session.connection().execute(delete(table_of(CallRow)).where(position.in_(batch))).rowcount
            forgotten += gone
            if gone < PRUNE_BATCH:
                return forgotten


def _slices(bounds: Sequence[datetime]) -> CTE:
    """Return slices of time as a table: their numbers, first moments and ends."""
    rows = [
        select(
            literal(index).label("index"),
            literal(first, UtcMoment).label("first"),
            literal(end, UtcMoment).label("end"),
        )
        for index, (first, end) in enumerate(pairwise(bounds))
    ]
    return union_all(*rows).cte("slices")


def _usage_query(since: datetime, until: datetime) -> Select[*tuple[object, ...]]:
    method = (col(CallRow.capability), col(CallRow.method), col(CallRow.version))
    duration = col(CallRow.duration_ms)
    ranked = (
        select(
            *method,
            col(CallRow.caller),
            col(CallRow.error),
            duration,
            func.row_number().over(partition_by=method, order_by=duration).label("rank"),
            func.count().over(partition_by=method).label("size"),
        )
        .where(_within(since, until), _says_something())
        .subquery()
    )
    at = ranked.c
    keys = (at.capability, at.method, at.version)
    return (
        select(
            *keys,
            func.count().label("n"),
            _number_of(at.error.is_not(None)).label("bad"),
            func.count(distinct(at.caller)).label("callers"),
            func.sum(at.duration_ms).label("total_ms"),
            func.min(case((at.rank * 100 >= at.size * 95, at.duration_ms))).label("p95_ms"),
        )
        .group_by(*keys)
        .order_by(func.count().desc(), *keys)
    )


def _within(since: datetime, until: datetime) -> ColumnElement[bool]:
    return and_(col(CallRow.started_at) >= since, col(CallRow.started_at) < until)


def _says_something() -> ColumnElement[bool]:
    error = col(CallRow.error)
    return or_(error.is_(None), error.not_in(NOT_THE_VERSIONS_FAULT))


def _number_of(condition: ColumnElement[bool] | None) -> ColumnElement[int]:
    counted: ColumnElement[int] = func.count(case((condition, 1))) if condition is not None else func.count(None)
    return counted
