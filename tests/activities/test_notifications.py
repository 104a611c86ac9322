"""How the world hears of an event, through a real web server."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import cast

import pytest
from temporalio.testing import ActivityEnvironment

from activities.context import Context
from activities.notifications import ATTEMPTS, NotificationActivities
from config.settings import NotificationSettings, Settings
from domain.events import Event, EventType

EVENT = Event(
    type=EventType.UPGRADE_DEPLOYED,
    subject="text-1.1.0-aaaaaaaa",
    message="text 1.1.0 serves everyone.",
    at=datetime(2026, 1, 1, tzinfo=UTC),
    detail={"capability": "text"},
)


@dataclass
class Hook:
    """A web server that answers with the next of its codes, and what it was told."""

    codes: Sequence[int]
    told: list[tuple[str, object]] = field(default_factory=list)
    url: str = ""


@contextmanager
def listening(*codes: int) -> Iterator[Hook]:
    hook = Hook(codes)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            code = hook.codes[min(len(hook.told), len(hook.codes) - 1)]
            hook.told.append((self.headers["content-type"], json.loads(body)))
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Tests say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield hook
        server.shutdown()
        thread.join()


async def notify(settings: NotificationSettings) -> None:
    context = cast("Context", SimpleNamespace(settings=Settings(notifications=settings)))
    await ActivityEnvironment().run(NotificationActivities(context).notify, EVENT)


async def test_a_webhook_gets_the_event_as_json() -> None:
    with listening(204) as hook:
        await notify(NotificationSettings(webhook_url=hook.url))
    assert hook.told == [("application/json", EVENT.model_dump(mode="json"))]


async def test_a_webhook_that_fails_is_told_again() -> None:
    with listening(503, 200) as hook:
        await notify(NotificationSettings(webhook_url=hook.url))
    assert len(hook.told) == 2


@pytest.mark.parametrize("there", [True, False])
async def test_a_webhook_that_never_works_holds_up_nothing_and_is_logged(
    there: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(500) as hook:
        url = hook.url
        if there:
            await notify(NotificationSettings(webhook_url=url))
    if not there:
        await notify(NotificationSettings(webhook_url=url))
    warnings = [record.message for record in caplog.records if record.name == "upgrade_loop.notifications"]
    assert [text.split(":")[0] for text in warnings] == [
        f"webhook, attempt {number} of {ATTEMPTS}" for number in range(1, ATTEMPTS + 1)
    ]


@pytest.mark.parametrize("console", [True, False])
async def test_the_console_gets_a_line_unless_told_otherwise(console: bool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "upgrade_loop.notifications"):
        await notify(NotificationSettings(console=console))
    assert caplog.messages == (["upgrade_deployed: text 1.1.0 serves everyone."] if console else [])
