"""Spec 4.1, replay samples - decides which recorded calls are kept for paired replay.

Rules:
- Of one method, the newest `keep` distinct arguments are kept; seen again, they count as new.

Not here: which methods may be recorded at all (`domain/contracts.py`, `MethodSignature.repeatable`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import case, delete, func
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from domain.calls import ReplaySample
from store.columns import to_json
from store.sessions import Sessions, insert_into
from store.tables import SampleRow, table_of


class Samples:
    """Arguments of real calls."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def add(self, samples: Sequence[ReplaySample], keep: int) -> None:
        """Record calls, and forget all but the newest distinct ones of their methods.

        Args:
            samples: in any order; equal arguments count once, at the newest moment.
            keep: how many to keep of each method.
        """
        if not samples:
            return
        with self._sessions.exclusive("samples") as session:
            _merge(session, [_row(sample) for sample in samples])
            for capability, method in sorted({(sample.capability, sample.method) for sample in samples}):
                _forget_older(session, capability, method, keep)

    def of(self, capability: str, method: str, limit: int) -> list[ReplaySample]:
        """Return the newest samples of a method, newest first."""
        query = (
            select(SampleRow)
            .where(SampleRow.capability == capability, SampleRow.method == method)
            .order_by(col(SampleRow.recorded_at).desc(), col(SampleRow.position).desc())
            .limit(limit)
        )
        with self._sessions.reading() as session:
            return [
                ReplaySample(
                    capability=row.capability,
                    method=row.method,
                    arguments=row.arguments,
                    recorded_at=row.recorded_at,
                )
                for row in session.exec(query)
            ]


def _row(sample: ReplaySample) -> dict[str, Any]:
    body = sample.model_dump(mode="json")["arguments"]
    digest = hashlib.sha256(to_json(_sorted(body)).encode()).hexdigest()
    return {
        "capability": sample.capability,
        "method": sample.method,
        "digest": digest,
        "recorded_at": sample.recorded_at,
        "arguments": body,
    }


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _merge(session: Session, rows: list[dict[str, Any]]) -> None:
    table = table_of(SampleRow)
    insert = insert_into(session, SampleRow)
    new, old = insert.excluded.recorded_at, table.c.recorded_at
    statement = insert.on_conflict_do_update(
        index_elements=["capability", "method", "digest"], set_={"recorded_at": case((new > old, new), else_=old)}
    )
    session.connection().execute(statement, rows)


def _forget_older(session: Session, capability: str, method: str, keep: int) -> None:
    at = table_of(SampleRow).c
    newest_first = func.row_number().over(order_by=(at.recorded_at.desc(), at.position.desc())).label("rank")
    ranked = (
        select_columns(at.position, newest_first).where(at.capability == capability, at.method == method).subquery()
    )
    too_old = select_columns(ranked.c.position).where(ranked.c.rank > keep)
    session.connection().execute(delete(table_of(SampleRow)).where(at.position.in_(too_old)))
