"""Spec 9.1, the house's own source - decides which files of the repository are the house's, and which room each is in.

Rules:
- A room is a top-level folder; `plugins/core` is a room of its own, the plugin folders beside it are guests.
- What git ignores, what a tool generated (migrations) and what is empty is not looked at.

Not here: what is asked of a file; one test module each.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

ROOMS = (
    "domain",
    "engines",
    "config",
    "store",
    "plugins.core",
    "gateway",
    "activities",
    "workflows",
    "worker",
)

GENERATED = ("store/migrations/versions/",)
_PASSED_OVER = frozenset({"__pycache__", ".venv", ".git", ".home", "node_modules"})


@dataclass(frozen=True)
class Module:
    """One Python file of the repository, read and parsed."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Posix path from the root, as people write it."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def dotted(self) -> str:
        """Import name."""
        return self.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def room(self) -> str:
        """The room it stands in; the top-level folder for files outside the rooms."""
        return room_of(self.dotted) or self.dotted.partition(".")[0]

    @property
    def docstring(self) -> str:
        """The module's docstring, empty if it has none."""
        return ast.get_docstring(self.tree) or ""


def room_of(dotted: str) -> str | None:
    """Return the room that an import name belongs to, None when it is not one of ours."""
    return next((room for room in ROOMS if dotted == room or dotted.startswith(f"{room}.")), None)


@cache
def python_files() -> tuple[Module, ...]:
    """Return every Python file of the repository that a person wrote."""
    return tuple(_read(path) for path in _walk("*.py") if path.stat().st_size)


def in_rooms() -> list[Module]:
    """Return the modules of the rooms, packages' `__init__` files included."""
    return [module for module in python_files() if module.room in ROOMS]


def documents() -> list[Path]:
    """Return the Markdown pages of the repository."""
    return list(_walk("*.md"))


def _walk(pattern: str) -> Iterator[Path]:
    for path in sorted(ROOT.rglob(pattern)):
        relative = path.relative_to(ROOT)
        hidden = any(part in _PASSED_OVER or part.startswith(".") for part in relative.parts)
        if not hidden and not relative.as_posix().startswith(GENERATED):
            yield path


def _read(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    return Module(path=path, text=text, tree=ast.parse(text, filename=str(path)))
