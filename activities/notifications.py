"""Spec 10.2, notification system - decides how the world hears of an event.

Rules:
- The console gets one line an event; a webhook gets the event as JSON, by POST.
- A webhook that does not answer never holds up an upgrade: it is tried a few times, then the failure is logged.

Not here: which events there are (`domain/events.py`).
"""

from __future__ import annotations

import asyncio
import logging

import httpx
from temporalio import activity

from activities import messages as m
from activities.context import Context
from domain.events import Event

logger = logging.getLogger("upgrade_loop.notifications")

ATTEMPTS = 3
TIMEOUT_SECONDS = 5.0


class NotificationActivities:
    """Tells people and programs."""

    def __init__(self, context: Context) -> None:
        self._settings = context.settings.notifications

    @activity.defn
    async def notify(self, event: Event) -> m.Done:
        """Send an event to everyone who is to hear of it."""
        if self._settings.console:
            logger.info("%s: %s", event.type, event.message)
        if self._settings.webhook_url:
            await _post(self._settings.webhook_url, event)
        return m.Done()


async def _post(url: str, event: Event) -> None:
    body = event.model_dump_json()
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = await client.post(url, content=body, headers={"content-type": "application/json"})
                answer.raise_for_status()
            except httpx.HTTPError as failure:
                logger.warning("webhook, attempt %d of %d: %s", attempt, ATTEMPTS, failure)
                if attempt < ATTEMPTS:
                    await asyncio.sleep(attempt)
            else:
                return
