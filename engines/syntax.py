"""Spec 1.1, code structure - decides how the house reads a Python file, for patterns and for security alike.

Rules:
- A file that cannot be parsed is told with the reason; it never stops the reading of others.
- A finding of a rule names the places a person has to look at, and how many lines they are.

Not here: the rules (`engines/clones.py`, `engines/anti_patterns.py`, `engines/abstractions.py`,
`engines/code_rules.py`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from domain.base import JsonObject
from domain.patterns import Location, PatternType

Function = ast.FunctionDef | ast.AsyncFunctionDef


class ParsedFile(NamedTuple):
    """A source file and its syntax tree."""

    path: str
    tree: ast.Module
    lines: int


class Symbol(NamedTuple):
    """A function or class with its dotted name, and whether it stands inside a function."""

    name: str
    node: Function | ast.ClassDef
    local: bool


class Finding(NamedTuple):
    """What a static rule reports before it is scored."""

    type: PatternType
    rule: str
    title: str
    locations: tuple[Location, ...]
    evidence: JsonObject


def parse(path: str, text: str) -> ast.Module | str:
    """Return the syntax tree of a file, or why there is none."""
    try:
        return ast.parse(text, filename=path)
    except SyntaxError as error:
        return f"line {error.lineno or 0}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"


def symbols(tree: ast.Module) -> Iterator[Symbol]:
    """Yield every function and class of a file, as they stand in it: outer ones before inner ones."""
    waiting: list[tuple[ast.AST, str, bool]] = [(tree, "", False)]
    while waiting:
        node, prefix, local = waiting.pop()
        if isinstance(node, Function | ast.ClassDef):
            yield Symbol(f"{prefix}{node.name}", node, local)
            prefix, local = f"{prefix}{node.name}.", local or isinstance(node, Function)
        waiting.extend((child, prefix, local) for child in reversed([*ast.iter_child_nodes(node)]))


def location(file: ParsedFile, node: ast.stmt | ast.expr | ast.ExceptHandler, symbol: str) -> Location:
    """Return where a node stands."""
    return Location(file=file.path, start_line=node.lineno, end_line=node.end_lineno or node.lineno, symbol=symbol)


def aliases_of(tree: ast.Module) -> dict[str, str]:
    """Return what each imported name of a file stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or top_of(alias.name)] = alias.name if alias.asname else top_of(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update({alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names})
    return found


def dotted(node: ast.expr, aliases: Mapping[str, str]) -> str:
    """Return the full name that an expression such as `a.b.c` stands for, empty parts for what is no name."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value, aliases)}.{node.attr}"
    return ""


def top_of(module: str) -> str:
    """Return the top-level package of a dotted module name."""
    return module.partition(".")[0]
