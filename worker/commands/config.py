"""Appendix B, configure_loop - decides what `upgrade-loop config` says and changes.

Rules:
- A file is checked whole before it takes the place of the old one; a file that does not pass changes nothing.
- A change is an audit entry; it takes effect when the processes start again.

Not here: what the settings mean (`config/settings.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
import yaml

from activities.approvals import objection_to
from config.loading import apply_file, check_file, document
from domain.errors import PermissionDenied
from domain.roles import Command
from worker.commands.options import DEFAULT_ACTOR, Actor
from worker.commands.session import SESSION

app = typer.Typer(help="See, check and change the settings.")

SettingsFile = Annotated[Path, typer.Argument(metavar="FILE", help="A settings file, as `config show` prints it.")]


@app.command()
def show() -> None:
    """Print the settings in force: file, environment and defaults together."""
    content = document(SESSION.settings)
    SESSION.answer(content, lambda out: out.print(yaml.safe_dump(content, sort_keys=False), highlight=False))


@app.command()
def check(file: SettingsFile) -> None:
    """Check a settings file without using it."""
    check_file(file)
    SESSION.answer({"ok": True, "file": str(file)}, lambda out: out.print(f"{file} is sound."))


@app.command()
def apply(file: SettingsFile, actor: Actor = DEFAULT_ACTOR) -> None:
    """Check a settings file and make it this installation's."""
    if objection := objection_to(SESSION.settings, actor, Command.CONFIGURE_LOOP):
        raise PermissionDenied(objection, hint="Name with --as a person whose role under `roles` includes it.")
    applied = apply_file(SESSION.home.create(), file)
    now = datetime.now(UTC)
    with SESSION.store() as store:
        store.settings_log.put(now, actor, document(applied))
        store.audit.append(
            key=f"settings/{now.isoformat()}",
            at=now,
            actor=actor,
            action="settings.changed",
            subject="settings",
            detail={"file": str(file)},
        )
    message = "Applied. Start `upgrade-loop up` again for it to take effect."
    SESSION.answer({"applied": True, "message": message}, lambda out: out.print(message))
