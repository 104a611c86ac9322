"""Spec 9.1, demo - decides what `upgrade-loop demo` prints.

Not here: the story (`worker/demo.py`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from worker.commands.documents import demo_document
from worker.commands.session import SESSION, table

if TYPE_CHECKING:
    from worker.demo import StoryEnd


def demo(
    seconds: Annotated[float, typer.Option(min=2, help="How long users work before the loop first looks.")] = 8.0,
    rate: Annotated[float, typer.Option(min=1, help="Calls per second of all users together.")] = 60.0,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Keep everything running afterwards, until Ctrl+C.")] = False,
) -> None:
    """Watch an agent improve itself: one whole cycle on an example agent with live traffic, in about a minute."""
    from worker.demo import Story

    narrator = Console(stderr=True, highlight=False)
    story = Story(home=SESSION.home, warm_up=seconds, rate=rate, keep=keep, tell=narrator.print)
    end = SESSION.run(story.run(_print))
    SESSION.code = 0 if end.as_told else 1
    if not end.as_told:
        sys.stderr.write(f"upgrade-loop: the demo did not go as it should: {end.wrong}.\n")


def _print(end: StoryEnd) -> None:
    def human(out: Console) -> None:
        rows = [
            (one.capability, one.from_version or "new", one.to_version, one.status, one.reason) for one in end.upgrades
        ]
        out.print(table("What became of it", ("capability", "from", "to", "outcome", "why"), rows))
        out.print(
            f"{end.calls} calls, {end.failed_by_loop} of them failed by the loop. "
            f"Every step: {end.addresses.ui or 'your Temporal UI'}"
        )

    SESSION.answer(demo_document(end), human)
