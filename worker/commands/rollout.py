"""Spec 5.2, trying plans - decides what `upgrade-loop rollout` says.

Rules:
- A plan is sized and tried without Temporal, a store or a home: the same judgement, fed with recorded counts.
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
from engines.sizing import size, warnings
from worker.commands.session import SESSION, table

app = typer.Typer(help="Size a rollout plan, and try it on recorded counts.")


@app.command()
def simulate(
    plan: Annotated[Path, typer.Argument(help="A YAML file with the plan.")],
    trace: Annotated[Path, typer.Option(help="A file with one JSON object on each line; see docs/rollouts.md.")],
    name: Annotated[str, typer.Option(help="Which plan, where the file has several.")] = "",
) -> None:
    """Tell what a rollout would have decided, look by look."""
    told = run_trace(plan_in(plan, name), list(_lines(trace)))
    SESSION.answer(told.model_dump(mode="json"), lambda out: _tell(out, told))


@app.command("size")
def size_plan(
    plan: Annotated[Path, typer.Argument(help="A YAML file with the plan.")],
    calls_per_hour: Annotated[float, typer.Option(min=0, help="How often the capability is called, by everybody.")],
    name: Annotated[str, typer.Option(help="Which plan, where the file has several.")] = "",
) -> None:
    """Tell which gates can be proved at a rate of calls, and what would be enough where they cannot."""
    sizes = size(plan_in(plan, name), calls_per_hour)
    told = list(warnings(sizes))

    def human(out: Console) -> None:
        rows = [
            (one.stage, one.metric, f"{one.threshold:g}", str(one.needed), f"{one.expected:.0f}", _yes(one.provable))
            for one in sizes
        ]
        out.print(table("Gates", ("stage", "metric", "limit", "needs calls", "gets", "provable"), rows))
        for sentence in told:
            out.print(sentence, highlight=False)

    document = {"gates": [{**one.model_dump(mode="json"), "provable": one.provable} for one in sizes], "warnings": told}
    SESSION.answer(document, human)


def _yes(is_so: bool) -> str:  # noqa: FBT001 - its only argument
    return "yes" if is_so else "NO"


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
