"""Appendix B, command line - decides how `upgrade-loop` is spelled, and how it ends.

Rules:
- `--home DIR` and `--json` may stand anywhere on the line.
- Exit codes: 0 done, 1 the answer is no, 2 the input is wrong, 3 a service cannot be reached.
- A failure is one line for a person, or one JSON document with `--json`; never a traceback for what the house knows.

Not here: the commands (`worker/commands/`).
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import orjson
import typer

from config.home import Home
from domain.errors import InvalidInput, UpgradeLoopError
from worker.commands import audit, config, cycle, opportunities, plugin, rollout, rollouts, run, upgrades
from worker.commands.demo import demo
from worker.commands.doctor import doctor
from worker.commands.session import SESSION
from worker.processes import leave, speak_utf8

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"

app = typer.Typer(
    name="upgrade-loop",
    help="Lets a long-lived AI agent improve itself, prove it, and take it back.\n\n"
    "--home DIR (or UPGRADE_LOOP_HOME) says where everything is kept; --json prints one JSON document. "
    "Both may stand anywhere on the line. --version says which version this is.",
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(demo)
app.command()(doctor)
for process in (run.up, run.worker, run.gateway):
    app.command()(process)
for name, noun in (
    ("cycle", cycle.app),
    ("opportunities", opportunities.app),
    ("upgrades", upgrades.app),
    ("rollouts", rollouts.app),
    ("rollout", rollout.app),
    ("plugin", plugin.app),
    ("config", config.app),
    ("audit", audit.app),
):
    app.add_typer(noun, name=name)


def main(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        rest = _common_options(arguments)
        if rest == ["--version"]:
            return _tell_version()
        app(rest or ["--help"], prog_name="upgrade-loop", standalone_mode=False)
    except UpgradeLoopError as failure:
        return _fail(failure)
    except typer.TyperException as wrong:
        said = f"{wrong.format_message().rstrip('.')}."
        return _fail(InvalidInput(said, hint="`upgrade-loop --help` shows what there is."))
    except (typer.Abort, KeyboardInterrupt):
        return 130
    return SESSION.code


def _common_options(arguments: Sequence[str]) -> list[str]:
    """Take `--home` and `--json` off the line, wherever they stand, and return the rest."""
    rest: list[str] = []
    given: Path | None = None
    words = iter(arguments)
    for word in words:
        if word == "--json":
            SESSION.as_json = True
        elif word == "--home":
            value = next(words, None)
            if value is None:
                raise InvalidInput("--home needs a folder.", hint="For example: --home ./home")
            given = Path(value)
        elif word.startswith("--home="):
            given = Path(word.removeprefix("--home="))
        else:
            rest.append(word)
    SESSION.home = Home.locate(given).checked()
    return rest


def _tell_version() -> int:
    version = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"]
    SESSION.answer({"version": version}, lambda out: out.print(f"upgrade-loop {version}", highlight=False))
    return 0


def _fail(failure: UpgradeLoopError) -> int:
    if SESSION.as_json and failure.exit_code > 1:
        sys.stdout.write(orjson.dumps(failure.document(), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        sys.stderr.write(f"upgrade-loop: {failure.message} {failure.hint}".rstrip() + "\n")
    return failure.exit_code


if __name__ == "__main__":
    speak_utf8()
    leave(main(sys.argv[1:]))
