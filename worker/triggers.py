"""Spec 10.2, event triggers - decides how something that the gateway noticed starts a cycle.

Rules:
- One event cycle runs at a time; events that come meanwhile are served by the next one.
- The gateway never depends on Temporal: when none answers, the event is logged, and the Schedule finds it later.

Not here: how often the gateway tells (`gateway/events.py`).
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import cache

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from activities import messages as m
from config.home import Home
from config.settings import Settings
from domain.cycles import Trigger
from domain.errors import TemporalUnreachable
from domain.events import Event, EventType
from domain.metrics import exposition
from gateway.service import Outside
from store.database import Store, open_store
from store.metrics import loop_metrics
from worker.addresses import connect

logger = logging.getLogger("upgrade_loop.triggers")

TRIGGER_OF = {
    EventType.CAPABILITY_REQUESTED: Trigger.CAPABILITY_REQUESTED,
    EventType.PATTERN_DETECTED: Trigger.PATTERN_DETECTED,
}


class CycleTrigger:
    """Starts cycles on events."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self._home = home
        self._settings = settings
        self._client: Client | None = None

    async def tell(self, event: Event) -> None:
        """Start a cycle for an event, unless one started by events is running."""
        if not self._settings.cycle.enabled or event.type not in TRIGGER_OF:
            return
        temporal = self._settings.temporal
        try:
            client = self._client = self._client or await connect(self._home, self._settings)
            await client.start_workflow(
                "UpgradeCycle",
                m.CycleInput(trigger=TRIGGER_OF[event.type], host=temporal.host_name),
                id="cycle-on-event",
                task_queue=temporal.task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=event.message[:200],
            )
        except (TemporalUnreachable, RPCError) as failure:
            logger.warning("no cycle started for %s: %s", event.subject, failure)


def outside_of(home: Home, settings: Settings) -> Outside:
    """Return what a gateway of ours carries beside the door: the event trigger and the loop's metrics.

    The database is opened when the metrics are first asked for, since the gateway serves without it too.
    """

    @cache
    def store() -> Store:
        return open_store(settings.store.url or home.database_url)

    def metrics() -> str:
        return exposition(loop_metrics(store(), datetime.now(UTC)))

    return Outside(listener=CycleTrigger(home, settings).tell, metrics=metrics)
