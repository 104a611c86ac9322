"""Spec 8.3, compensating actions - decides how what takes a step back is registered and found again.

Rules:
- A step registers one compensation; registering again returns the one that stands, arguments and all.
- They come back in reverse order of registration.
- What was done stays done.

Not here: running them (`activities/compensations.py`).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func
from sqlmodel import col, select

from domain.base import JsonObject
from domain.compensations import CompensatingAction, CompensationKind, CompensationState
from domain.errors import NotFound
from store.records import read
from store.sessions import Sessions
from store.tables import CompensationRow

_OPEN = (CompensationState.REGISTERED, CompensationState.FAILED)


class Compensations:
    """Everything that can be taken back, or was."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def register(
        self, upgrade_id: str, step: str, kind: CompensationKind, arguments: JsonObject, at: datetime
    ) -> CompensatingAction:
        """Write down what will take a step back; to be called before the step acts.

        Returns:
            The action that stands: the first one registered for this step.
        """
        with self._sessions.exclusive(f"compensations/{upgrade_id}") as session:
            known = session.get(CompensationRow, f"{upgrade_id}/{step}")
            if known is not None:
                return _action(known)
            highest = select(func.max(CompensationRow.sequence)).where(CompensationRow.upgrade_id == upgrade_id)
            action = CompensatingAction(
                id=f"{upgrade_id}/{step}",
                upgrade_id=upgrade_id,
                step=step,
                sequence=(session.exec(highest).one() or 0) + 1,
                kind=kind,
                arguments=arguments,
                registered_at=at,
            )
            session.add(CompensationRow(**action.model_dump()))
            session.flush()
            return action

    def of(self, upgrade_id: str) -> list[CompensatingAction]:
        """Return an upgrade's compensations in the order in which they run: the last registered first."""
        query = (
            select(CompensationRow)
            .where(CompensationRow.upgrade_id == upgrade_id)
            .order_by(col(CompensationRow.sequence).desc())
        )
        with self._sessions.reading() as session:
            return [_action(row) for row in session.exec(query)]

    def unfinished(self) -> list[str]:
        """Return the upgrades that have something left to take back, whether or not it is wanted."""
        query = select(CompensationRow.upgrade_id).where(col(CompensationRow.state).in_(_OPEN)).distinct()
        with self._sessions.reading() as session:
            return sorted(session.exec(query))

    def mark(self, action_id: str, state: CompensationState, error: str = "") -> CompensatingAction:
        """Write down what became of a compensation.

        Returns:
            The action as it stands; one that was done stays so, whatever is marked later.

        Raises:
            NotFound: no such action.
        """
        with self._sessions.writing() as session:
            query = select(CompensationRow).where(CompensationRow.id == action_id).with_for_update()
            row = session.exec(query).first()
            if row is None:
                raise NotFound(f"There is no compensation {action_id!r}.", hint="Its id is <upgrade id>/<step>.")
            if row.state != CompensationState.DONE:
                row.state, row.error = state.value, error
                session.add(row)
                session.flush()
            return _action(row)


def _action(row: CompensationRow) -> CompensatingAction:
    return read(CompensatingAction, row.id, row.model_dump())
