"""Spec 5.2, trying plans - decides what `upgrade-loop rollout` says.

Rules:
- A plan is tried without Temporal, a store or a home: the same judgement, fed with recorded counts.
- A plan's file is like `rollouts.yaml`, or holds one plan alone; a trace has one JSON object on each line.

Not here: the judgement (`engines/rollouts.py`), running rollouts (`worker/commands/rollouts.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console

from config.rollouts import plan_in
from domain.errors import InvalidInput
from domain.simulation import Simulation, TraceLine
from engines.simulation import simulate as run_trace
from worker.commands.session import SESSION, table

app = typer.Typer(help="Try a rollout plan on recorded counts.")


@app.callback()
def _group() -> None:
    """Keep `simulate` a word of its own."""


@app.command()
def simulate(
    plan: Annotated[Path, typer.Argument(help="A YAML file with the plan.")],
    trace: Annotated[Path, typer.Option(help="A file with one JSON object on each line; see docs/rollouts.md.")],
    name: Annotated[str, typer.Option(help="Which plan, where the file has several.")] = "",
) -> None:
    """Tell what a rollout would have decided, look by look."""
    told = run_trace(plan_in(plan, name), list(_lines(trace)))
    SESSION.answer(told.model_dump(mode="json"), lambda out: _tell(out, told))


def _tell(out: Console, told: Simulation) -> None:
    runs = groupby(told.decisions, key=lambda look: (look.stage, look.verdict, look.action))
    rows = [
        (f"{look.at / 3_600:.2f}", look.stage, look.verdict, look.action, look.reason)
        for look in (next(run) for _, run in runs)
    ]
    out.print(table("Looks that said something new", ("hour", "stage", "verdict", "action", "why"), rows))
    out.print(f"outcome: {told.outcome}")


def _lines(path: Path) -> Iterator[TraceLine]:
    """Yield the lines of a trace; empty ones are skipped.

    Raises:
        InvalidInput: the file cannot be read, or a line is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The trace {path} cannot be read: {error}.") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield TraceLine.model_validate_json(line)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                where = ".".join(map(str, first["loc"])) or "the line"
                raise InvalidInput(f"{path}, line {number}: {where}: {first['msg']}.", hint=EXAMPLE) from error


EXAMPLE = 'A line is like {"at": 3600, "metric": "error_rate", "variant": "candidate", "n": 40, "bad": 1}.'
