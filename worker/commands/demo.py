"""Spec 9.1, demo - decides what `upgrade-loop demo` prints.

Rules:
- The story goes to stderr as it happens: minutes and seconds since the start, what a line is about, what happened.
- On a terminal long lines are wrapped under themselves and coloured; elsewhere a line is a line.

Not here: the story (`worker/demo.py`), its words (`worker/narration.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.commands.documents import demo_document
from worker.commands.session import SESSION, table
from worker.narration import Line, Mood

if TYPE_CHECKING:
    from worker.demo import StoryEnd

SUBJECT_WIDTH = 24
COLOURS: Mapping[Mood, str] = {Mood.PLAIN: "", Mood.GOOD: "bold green", Mood.ASKS: "yellow", Mood.BAD: "bold red"}


def demo(
    seconds: Annotated[float, typer.Option(min=2, help="How long users work before the loop first looks.")] = 8.0,
    rate: Annotated[float, typer.Option(min=1, help="Calls per second of all users together.")] = 60.0,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Keep everything running afterwards, until Ctrl+C.")] = False,
) -> None:
    """Watch an agent improve itself: one whole cycle on an example agent with live traffic, in about a minute."""
    from worker.demo import Story

    story = Story(home=SESSION.home, warm_up=seconds, rate=rate, keep=keep, tell=Page(Console(stderr=True)).draw)
    end = SESSION.run(story.run(_print))
    SESSION.code = 0 if end.as_told else 1
    if not end.as_told:
        sys.stderr.write(f"upgrade-loop: the demo did not go as it should: {end.wrong}.\n")


class Page:
    """Draws the lines of a story.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began: datetime | None = None

    def draw(self, line: Line) -> None:
        """Draw one line."""
        self._began = self._began or line.at
        seconds = max(0, int((line.at - self._began).total_seconds()))
        stamp = f"{seconds // 60}:{seconds % 60:02d}"
        if not self._console.is_terminal:
            self._console.out(f"{stamp:>5}  {line.subject:{SUBJECT_WIDTH}}  {line.text}", highlight=False)
            return
        row = Table.grid(padding=(0, 2))
        row.add_column(width=5, justify="right", style="dim")
        row.add_column(width=SUBJECT_WIDTH, style="cyan")
        row.add_column(style=COLOURS[line.mood])
        row.add_row(*(Text(part) for part in (stamp, line.subject, line.text)))
        self._console.print(row)


def _print(end: StoryEnd) -> None:
    def human(out: Console) -> None:
        rows = [
            (one.capability, one.from_version or "new", one.to_version, one.status, one.reason) for one in end.upgrades
        ]
        out.print(table("What became of it", ("capability", "from", "to", "outcome", "why"), rows))
        out.print(f"{end.calls} calls, {end.failed_by_loop} of them failed by the loop.", highlight=False)
        out.print("With --keep everything goes on running, and the Temporal UI shows every step.", highlight=False)

    SESSION.answer(demo_document(end), human)
