"""Spec 9.1, what is remembered - decides how the store is opened, and is the list of all that it keeps.

Rules:
- Opening makes or migrates the tables; several processes may do so at once.
- Everything that can go wrong with the database is a `StoreUnusable` with its place and the next step.

Not here: any table, any query (one file per concept beside this one).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlmodel import select

from domain.base import JsonObject
from domain.routing import RoutingTable
from store.approvals import Approvals
from store.audit import Audit
from store.calls import Calls
from store.compensations import Compensations
from store.connections import PATIENCE_SECONDS, connect, place_of
from store.cycles import Cycles, Discoveries
from store.decisions import Decisions
from store.experiments import Experiments
from store.opportunities import Opportunities
from store.packages import Packages
from store.requests import Outcomes, Requests
from store.rollouts import GateLog, Rollouts
from store.routes import Routes
from store.samples import Samples
from store.schema import bring_up_to_date
from store.sessions import Sessions
from store.settings_log import SettingsLog
from store.slots import Slots
from store.snapshots import Snapshots
from store.state import States
from store.tables import AuditHeadRow
from store.upgrades import Plans, Upgrades


def open_store(url: str, patience_seconds: float = PATIENCE_SECONDS) -> Store:
    """Open a database, after making or migrating its tables.

    Args:
        url: `sqlite:///path` or `postgresql://user:password@host/name`.
        patience_seconds: how long to wait for a lock of the SQLite file, or for a connection to the server.

    Raises:
        ConfigurationInvalid: the URL is of no kind that the store knows.
        StoreUnusable: the database cannot be reached, read or written, or is not one of this version.
    """
    engine = connect(url, patience_seconds)
    try:
        bring_up_to_date(engine)
    except BaseException:
        engine.dispose()
        raise
    return Store(Sessions(engine))


class Store:
    """All that the house remembers. Safe to use from several threads."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._states = States(sessions)
        self.cycles = Cycles(sessions)
        self.discoveries = Discoveries(sessions)
        self.opportunities = Opportunities(sessions)
        self.decisions = Decisions(sessions)
        self.plans = Plans(sessions)
        self.approvals = Approvals(sessions)
        self.upgrades = Upgrades(sessions)
        self.slots = Slots(sessions)
        self.compensations = Compensations(sessions)
        self.snapshots = Snapshots(sessions)
        self.experiments = Experiments(sessions)
        self.rollouts = Rollouts(sessions)
        self.gate_log = GateLog(sessions)
        self.routes = Routes(sessions)
        self.packages = Packages(sessions)
        self.calls = Calls(sessions)
        self.samples = Samples(sessions)
        self.requests = Requests(sessions)
        self.outcomes = Outcomes(sessions)
        self.audit = Audit(sessions)
        self.settings_log = SettingsLog(sessions)

    @property
    def place(self) -> str:
        """Where the database is, without its password."""
        return place_of(self._sessions.engine.url)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do everything that is written inside the block whole or not at all. Nothing may be awaited inside."""
        with self._sessions.writing():
            yield

    def export_state(self, capability: str) -> JsonObject:
        """Return route, opportunities and packages of a capability as one document, for a snapshot."""
        return self._states.export(capability)

    def import_state(self, document: JsonObject, at: datetime) -> RoutingTable:
        """Bring the rows of a capability back to what a document of `export_state` says.

        Returns:
            The routing table in force afterwards; its generation is new only if the route changed.

        Raises:
            RestoreFailed: the document is not one of `export_state`.
        """
        return self._states.restore(document, at)

    def ping(self) -> None:
        """Let the database answer one question.

        Raises:
            StoreUnusable: it does not.
        """
        with self._sessions.reading() as session:
            session.exec(select(AuditHeadRow.sequence)).one()

    def close(self) -> None:
        """Close every connection; the store is of no use afterwards."""
        self._sessions.close()
