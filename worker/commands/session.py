"""Appendix B, one run of a command - decides how every command finds its installation and gives its answer.

Rules:
- `--json` prints exactly one JSON document on stdout; everything else a person reads goes to stderr or, without
  `--json`, to stdout.
- A command that needs Temporal connects when it runs, not before.

Not here: the commands.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import orjson
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from config.home import Home
from config.settings import Settings
from store.database import Store, open_store
from worker.agents import settings_of
from worker.api import SelfUpgradingLoopAPI

R = TypeVar("R")


@dataclass
class Session:
    """One run of the command line.

    Attributes:
        home: the installation.
        as_json: whether a program reads the answer.
        code: the exit code so far.
    """

    home: Home = field(default_factory=Home.locate)
    as_json: bool = False
    code: int = 0

    @property
    def settings(self) -> Settings:
        """The installation's settings."""
        return settings_of(self.home)

    def answer(self, document: object, human: Callable[[Console], None]) -> None:
        """Print the answer, as JSON or for a person."""
        if self.as_json:
            sys.stdout.write(orjson.dumps(document, default=_plain, option=orjson.OPT_INDENT_2).decode() + "\n")
        else:
            human(Console())

    def run(self, work: Awaitable[R]) -> R:
        """Run an asynchronous command to its end."""
        return asyncio.run(_awaited(work))

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Open the store for reading."""
        settings = self.settings
        store = open_store(settings.store.url or self.home.create().database_url)
        try:
            yield store
        finally:
            store.close()

    @asynccontextmanager
    async def api(self, actor: str) -> AsyncIterator[SelfUpgradingLoopAPI]:
        """Open the public API in the name of a person."""
        from worker.addresses import connect
        from worker.main import built_context

        settings = self.settings
        client = await connect(self.home, settings)
        with built_context(self.home, settings, client) as context:
            yield SelfUpgradingLoopAPI(context, client, actor)


SESSION = Session()
"""The session of this process; `worker.cli` fills it in from the options before a command runs."""


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return a table for a person."""
    made = Table(*headings, title=title, title_justify="left", header_style="bold")
    for row in rows:
        made.add_row(*("" if cell is None else str(cell) for cell in row))
    return made


async def _awaited(work: Awaitable[R]) -> R:
    return await work


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
