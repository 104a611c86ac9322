"""Spec 5.1, routing table - decides how routing tables follow one another.

Rules:
- Tables are numbered without holes; one that does not follow the current one is refused, so no writer overlooks
  another.
- Every table is kept: what was routed at any moment can be told, and put back.

Not here: what a route is (`domain/routing.py`).
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, select

from domain.errors import IllegalTransition, NotFound
from domain.routing import RoutingTable
from store.records import read
from store.sessions import Sessions
from store.tables import RoutingTableRow


class Routes:
    """Every routing table; the newest one is in force."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def load(self) -> RoutingTable:
        """Return the table in force; the empty one of generation 0 before any was saved."""
        with self._sessions.reading() as session:
            return _current(session)

    def save(self, table: RoutingTable, at: datetime) -> None:
        """Put a table in force.

        Raises:
            IllegalTransition: its generation is not the one after the current.
        """
        with self._sessions.exclusive("routes") as session:
            current = _current(session).generation
            if table.generation != current + 1:
                raise IllegalTransition(
                    f"Routing table {table.generation} cannot follow table {current}.",
                    hint="Somebody else changed the routes. Load the table again and repeat the change.",
                    details={"current": current, "given": table.generation},
                )
            body = table.model_dump(mode="json")
            session.add(RoutingTableRow(generation=table.generation, saved_at=at, body=body))
            session.flush()

    def at(self, generation: int) -> RoutingTable:
        """Return the table of one generation.

        Raises:
            NotFound: there was none of that number.
        """
        with self._sessions.reading() as session:
            row = session.get(RoutingTableRow, generation)
        if row is not None:
            return read(RoutingTable, f"generation {generation}", row.body)
        if generation == 0:
            return RoutingTable()
        raise NotFound(f"There is no routing table {generation}.", hint=f"The newest is {self.load().generation}.")


def _current(session: Session) -> RoutingTable:
    query = select(RoutingTableRow).order_by(col(RoutingTableRow.generation).desc()).limit(1)
    row = session.exec(query).first()
    return RoutingTable() if row is None else read(RoutingTable, f"generation {row.generation}", row.body)
