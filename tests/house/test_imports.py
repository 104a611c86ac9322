"""Spec 9.1, walls - decides which room may import what, so that each can be read, tested and replaced alone.

Rules:
- The tables below are the ones of docs/architecture.md.
- A library that has a home is imported there and nowhere else; `worker` may import everything.
- Domain and engines reach neither clock nor chance nor the outside.
- A plugin, and an example agent, imports nothing of ours.

Not here: whether an imported name exists (mypy).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

import pytest

from plugins.core.bytecode import INSIDE
from tests.house.source import ROOMS, ROOT, Module, in_rooms, python_files, room_of

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "domain": (),
    "engines": ("domain",),
    "config": ("domain",),
    "store": ("domain", "config"),
    "plugins.core": ("domain", "config"),
    "gateway": ("domain", "engines.routing", "store", "plugins.core", "config"),
    "activities": ("domain", "engines", "store", "plugins.core", "gateway.admin_client", "config"),
    "workflows": ("domain", "activities"),
    "worker": ROOMS,
}

HOMES: dict[str, tuple[str, ...]] = {
    "alembic": ("store",),
    "sqlalchemy": ("store",),
    "sqlmodel": ("store",),
    "psycopg": ("store",),
    "mcp": ("gateway",),
    "starlette": ("gateway",),
    "uvicorn": ("gateway",),
    "numpy": ("engines",),
    "scipy": ("engines",),
    "mmh3": ("engines",),
    "xxhash": ("engines", "gateway"),
    "pydantic_settings": ("config",),
    "temporalio": ("activities", "workflows"),
    "rich": (),
    "typer": (),
}

PURE = ("domain", "engines")
OUTSIDE_OF_PURE: dict[str, tuple[str, ...]] = {
    "domain": ("pydantic", "pydantic_core"),
    "engines": ("pydantic", "numpy", "scipy", "mmh3", "xxhash", "jsonschema", "referencing"),
}
IMPURE_LIBRARY = frozenset(
    {"asyncio", "io", "multiprocessing", "os", "random", "secrets", "shutil", "socket", "sqlite3", "subprocess"}
    | {"tempfile", "threading", "time", "urllib", "uuid"}
)
CLOCK_CALLS = frozenset({"now", "utcnow", "today"})


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of everything a module imports; `from a import b` counts as `a.b`."""
    package = module.dotted if module.path.name == "__init__.py" else module.dotted.rpartition(".")[0]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def is_in(dotted: str, allowed: tuple[str, ...]) -> bool:
    """Say whether an import name is one of the allowed ones or lies inside one."""
    return any(dotted == name or dotted.startswith(f"{name}.") for name in allowed)


def complaints(modules: list[Module]) -> Iterator[str]:
    """Yield every import that crosses a wall."""
    for module in modules:
        for line, dotted in imports(module):
            target, where = room_of(dotted), f"{module.name}:{line} imports {dotted}"
            library = dotted.partition(".")[0]
            if target not in {None, module.room} and not is_in(dotted, MAY_IMPORT[module.room]):
                yield f"{where}; {module.room} may import {', '.join(MAY_IMPORT[module.room]) or 'no other room'}"
            if library in HOMES and module.room != "worker" and module.room not in HOMES[library]:
                yield f"{where}; {library} belongs to {', '.join(HOMES[library]) or 'worker'}"


def test_every_room_imports_only_the_rooms_beneath_it() -> None:
    assert list(complaints(in_rooms())) == []


@pytest.mark.parametrize("room", PURE)
def test_domain_and_engines_reach_neither_the_outside_nor_the_clock(room: str) -> None:
    found = []
    for module in (module for module in in_rooms() if module.room == room):
        for line, dotted in imports(module):
            library = dotted.partition(".")[0]
            known = library in sys.stdlib_module_names or room_of(dotted) or library in OUTSIDE_OF_PURE[room]
            if not known or library in IMPURE_LIBRARY:
                found.append(f"{module.name}:{line} imports {dotted}")
        found.extend(clock_readings(module))
    assert found == []


def test_workflows_read_no_clock_but_their_own() -> None:
    found = [where for module in in_rooms() if module.room == "workflows" for where in clock_readings(module)]
    assert found == []


def clock_readings(module: Module) -> Iterator[str]:
    """Yield the calls that ask the machine for the time."""
    for node in ast.walk(module.tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = ast.unparse(node.func.value)
        if node.func.attr in CLOCK_CALLS and owner in {"datetime", "datetime.datetime", "date"}:
            yield f"{module.name}:{node.lineno} asks for the time: {owner}.{node.func.attr}()"


def test_workflows_take_only_names_and_types_from_activities() -> None:
    by_name = {module.dotted: module for module in in_rooms() if module.room == "activities"}
    seen: set[str] = set()
    waiting = [dotted for module in in_rooms() if module.room == "workflows" for _, dotted in imports(module)]
    found = []
    while waiting:
        dotted = waiting.pop()
        module = by_name.get(dotted) or by_name.get(dotted.rpartition(".")[0])
        if module is None or module.dotted in seen:
            continue
        seen.add(module.dotted)
        for line, target in imports(module):
            waiting.append(target)
            if room_of(target) not in {None, "activities", "domain"}:
                found.append(f"{module.name}:{line} is imported by a workflow and itself imports {target}")
    assert found == []


def test_plugins_and_examples_import_nothing_of_ours() -> None:
    guests = [module for module in python_files() if is_guest(module)]
    found = [
        f"{module.name}:{line} imports {dotted}"
        for module in guests
        for line, dotted in imports(module)
        if room_of(dotted) or dotted.partition(".")[0] == "plugins"
    ]
    assert found == []


def is_guest(module: Module) -> bool:
    """Say whether a file is a plugin's or an example's."""
    if module.name.startswith("examples/"):
        return True
    return module.room == "plugins" and module.path.parent != ROOT / "plugins"


def test_what_runs_in_a_plugins_process_needs_nothing_but_python() -> None:
    runtime = [module for module in in_rooms() if module.path.parent.name == "core" and module.path.stem in INSIDE]
    assert len(runtime) == len(INSIDE)
    found = [
        f"{module.name}:{line} imports {dotted}"
        for module in runtime
        for line, dotted in imports(module)
        if dotted.partition(".")[0] not in sys.stdlib_module_names
    ]
    assert found == []


def test_a_crossed_wall_is_seen() -> None:
    text = "from engines import decisions\nimport temporalio.workflow\n"
    stranger = Module(path=ROOT / "store" / "stranger.py", text=text, tree=ast.parse(text))

    assert len(list(complaints([stranger]))) == 2
