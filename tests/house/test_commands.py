"""Spec 10.1, commands and settings - decides whether what pages and messages name can be typed and set.

Rules:
- Whatever stands behind `upgrade-loop` or `python run.py`, in a page, an alert or a message, is a command.
- Every setting that is not the specification's own is described on the operations page, and nothing else is.

Not here: whether the commands do what they say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml
from pydantic import BaseModel
from typer.models import CommandInfo

from config.settings import ROOT_KEY, SHIPPED_FILE, Settings
from tests.house.source import ROOT, documents, in_rooms
from worker.cli import app

NAMED = re.compile(r"(?:\bupgrade-loop|python run\.py)((?: [a-z]+)+)")
SETTING = re.compile(r"`([a-z_]+(?:\.[a-z_]+)*)`")
NOT_OURS = frozenset({"test"})
"""`run.py` hands this word to pytest."""


def texts() -> Iterator[tuple[str, str]]:
    """Yield every page, alert file and module by name."""
    for path in (*documents(), *(ROOT / "config").glob("*.yaml"), ROOT / "run.py"):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
    for module in in_rooms():
        yield module.name, module.text


def commands() -> dict[str, set[str]]:
    """Return the command line's nouns with their verbs; a command without verbs has none."""
    found: dict[str, set[str]] = {_name(command): set() for command in app.registered_commands}
    for group in app.registered_groups:
        assert group.typer_instance is not None
        found[str(group.name)] = {_name(command) for command in group.typer_instance.registered_commands}
    return found


def _name(command: CommandInfo) -> str:
    assert command.callback is not None
    return command.name or command.callback.__name__


def leaves(section: BaseModel, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all settings."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def dotted(document: object, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of what a settings file sets."""
    if not isinstance(document, dict):
        yield prefix
        return
    for name, value in document.items():
        yield from dotted(value, f"{prefix}.{name}" if prefix else name)


def test_commands_that_are_named_exist() -> None:
    named = [(where, found.split()) for where, text in texts() for found in NAMED.findall(text)]
    assert len(named) > 20
    known = commands()
    wrong = [
        (where, words)
        for where, words in named
        if words[0] not in NOT_OURS
        and (words[0] not in known or (known[words[0]] and words[1:] and words[1] not in known[words[0]]))
    ]
    assert wrong == []


def test_settings_of_our_own_are_described_and_no_others() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = page.partition("| setting |")[2].partition("\n## ")[0]
    described = {
        name for row in table.splitlines() for name in SETTING.findall(row.partition("|")[2].partition("|")[0])
    }
    shipped = yaml.safe_load(SHIPPED_FILE.read_text(encoding="utf-8"))[ROOT_KEY]
    assert described == set(leaves(Settings())) - set(dotted(shipped))
