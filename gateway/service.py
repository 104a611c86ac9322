"""Spec 10.1, the gateway's parts - decides how they are put together, and in which order they start and end.

Rules:
- Start: restore the table and load its versions, then serve. End: refuse new connections, finish the calls that run,
  end the streams, write the ledger, put the plugins down.
- Everything that reads a clock or makes an id gets it from here.

Not here: sockets, signals and servers (`gateway/main.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from starlette.applications import Starlette
from starlette.types import ASGIApp

from config.home import Home
from config.settings import Settings
from domain.calls import CallRecord
from domain.network import NetworkRequest
from domain.plugins import LifecycleRecord, LoadedVersion, PluginEvent
from gateway.admin import AdminPort
from gateway.admin_client import GatewayAddress, GatewayStatus
from gateway.app import Entrance, Managers, Watched, build_app, names_of, security_for
from gateway.calls import CallPath, Ways
from gateway.door import Door
from gateway.events import ErrorBursts, Listener, Notices, Refusals, lack_noticed, quarantine_noticed
from gateway.express import Express
from gateway.identity import Identities
from gateway.in_flight import InFlight
from gateway.journal import Entry, Journal
from gateway.ledger import Ledger
from gateway.memory import Memory
from gateway.metrics import DoorMetrics, ExtraMetrics, Standing, page
from gateway.ofrep import Evaluations
from gateway.rate_guard import RateGuard
from gateway.rounds import Rounds
from gateway.samples import SampleSieve
from gateway.swaps import Patience, Swaps
from gateway.table import CurrentTable
from plugins.core.host import PluginHost
from plugins.core.isolation import chosen_jail
from plugins.core.network import Network
from plugins.core.packages import PackageStore
from store.database import Store, open_store

LAST_WORDS_SECONDS = 2.0
"""How long answers that are ready may take to leave."""


@dataclass(frozen=True)
class Outside:
    """What others hang onto a gateway.

    Attributes:
        listener: told of what is worth a cycle.
        metrics: more families for `/metrics`.
        ready: told where the gateway listens, once it does.
        open_store: opens the database; the home's or the settings' when None.
    """

    listener: Listener | None = None
    metrics: ExtraMetrics | None = None
    ready: Callable[[GatewayAddress], None] | None = None
    open_store: Callable[[], Store] | None = None


class Gateway:
    """One gateway of one home.

    Args:
        home: where everything lies.
        settings: of the house.
        outside: what others hang onto it.

    Attributes:
        door: the ASGI application agents reach.
        admin: the ASGI application of the admin port.
        path: answers calls.
        swaps: changes who answers.
        ledger: remembers calls.
    """

    def __init__(self, home: Home, settings: Settings, outside: Outside | None = None) -> None:
        self._settings = settings
        self._outside = outside or Outside()
        url = settings.store.url or home.database_url
        self._memory = Memory(
            self._outside.open_store or (lambda: open_store(url)),
            home.root / "routes.json",
            settings.ab_testing.replay_samples,
        )
        self._metrics = DoorMetrics()
        self._host = PluginHost(
            PackageStore(home.packages),
            jail=chosen_jail(home, settings.security),
            network=Network(settings.security.network_hosts, self._on_request),
            quarantined=self._on_quarantine,
            told=self._on_event,
        )
        self._refusals = Refusals()
        self._notices = Notices(self._outside.listener, settings.gateway.request_pause_seconds, time.monotonic)
        self._bursts = ErrorBursts()
        self.ledger = Ledger(
            self._memory,
            Journal(home.root / "ledger.jsonl"),
            flush_seconds=settings.gateway.ledger_flush_seconds,
        )
        self.path = CallPath(self._ways(CurrentTable()))
        identities = Identities.of(home)
        self._door = Door(self.path, identities, product_version())
        self.swaps = self._swaps()
        self._managers = Managers.of(self._door, settings.gateway.host)
        watched = Watched(unready=self.swaps.unready, metrics=self._metrics_page)
        self._posts = InFlight()
        evaluations = Evaluations(
            lambda: self.path.ways.table.now.table, identities, security_for(settings.gateway.host)
        )
        rest = build_app(Entrance(self._managers, identities, self._posts), watched, evaluations)
        self.door: ASGIApp = Express(self._door, names_of(settings.gateway.host), self._posts, rest)
        self.admin: Starlette = AdminPort(
            home.admin_token(), self.swaps, self._host, status=self.status, flush=self.ledger.flush
        ).app

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Restore the table, serve while the block runs, and end in order."""
        self.ledger.start()
        try:
            await self.swaps.restore()
            async with self._managers.sessions.run(), self._managers.stateless.run():
                yield
                await self._finish()
        finally:
            await self._notices.close()
            await self.swaps.close()
            await self.ledger.close()
            await self._host.close()
            await asyncio.to_thread(self._memory.close)

    def status(self) -> GatewayStatus:
        """Return how the gateway stands."""
        reasons, ledger, table = self.swaps.unready(), self.ledger.state, self.path.ways.table.now.table
        return GatewayStatus(
            generation=table.generation,
            ready=not reasons,
            reasons=tuple(reasons),
            table=table,
            versions=tuple(self._host.loaded()),
            in_flight=self.path.in_flight.count,
            ledger_queued=ledger.queued,
            ledger_journalled=ledger.journalled,
            ledger_lost=ledger.lost,
            store_answers=ledger.store_answers,
        )

    async def _finish(self) -> None:
        """Let the calls that run end, for the drain time at most, and then their answers leave."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.path.in_flight.idle(), self._settings.gateway.drain_seconds)
        self._door.close_streams()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._posts.idle(), LAST_WORDS_SECONDS)

    def _record(self, entry: Entry) -> None:
        """Let the ledger have an entry, and tell if it makes the last of a burst of errors."""
        self.ledger.add(entry)
        burst = self._bursts.seen(entry) if isinstance(entry, CallRecord) else None
        if burst is not None:
            self._notices.notice(burst)

    def _on_quarantine(self, version: LoadedVersion) -> None:
        self._notices.notice(quarantine_noticed(version, _now()))

    def _on_event(self, happened: PluginEvent) -> None:
        self.ledger.add(LifecycleRecord(id=uuid.uuid4().hex, at=_now(), happened=happened))

    def _on_request(self, request: NetworkRequest) -> None:
        self._metrics.count_request(request)
        if (refused := self._refusals.news(request)) is not None:
            self._on_event(refused)

    def _metrics_page(self) -> str:
        standing = Standing(
            ready=not self.swaps.unready(),
            generation=self.path.ways.table.now.table.generation,
            in_flight=self.path.in_flight.count,
            versions=self._host.loaded(),
            ledger=self.ledger.state,
        )
        return page(self._metrics, standing, self._outside.metrics)

    def _ways(self, table: CurrentTable) -> Ways:
        return Ways(
            table=table,
            versions=self._host,
            guard=RateGuard(self._settings.gateway.calls_per_minute_per_caller, time.monotonic),
            metrics=self._metrics,
            sieve=SampleSieve(self._settings.ab_testing.replay_samples),
            rounds=Rounds(time.monotonic),
            record=self._record,
            requested=lambda request: self._notices.notice(lack_noticed(request)),
            clock=_now,
            monotonic=time.monotonic,
            new_id=lambda: secrets.token_hex(16),
        )

    def _swaps(self) -> Swaps:
        gateway = self._settings.gateway
        return Swaps(
            memory=self._memory,
            current=self.path.ways.table,
            host=self._host,
            metrics=self._metrics,
            patience=Patience(hold=gateway.warm_hold_seconds, drain=gateway.drain_seconds),
            clock=self.path.ways.clock,
            changed=self._door.tell_tools_changed,
            asking=self.path.ways.rounds.open_of,
        )


def product_version() -> str:
    """Return the product's version, `0` where it runs from its folder without being installed."""
    try:
        return version("self-upgrading-loop")
    except PackageNotFoundError:
        return "0"


def _now() -> datetime:
    return datetime.now(UTC)
