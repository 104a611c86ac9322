"""Spec 1.2, repetition pattern - decides which functions are copies of each other, names and literals aside.

Two functions are copies (type 2 of Roy & Cordy, "A survey on software clone detection research", 2007) when their
bodies have the same syntax tree after every name is replaced by the order of its first use and every literal by its
type.

Rules:
- A renaming must be consistent: `a + b` and `x + y` are copies, `a + b` and `x + x` are not.
- Docstrings, the function's own name and its decorators do not count; annotations do not either.
- Bodies below `MIN_NODES` nodes are too small to be worth anything; a nested function is part of the outer one.

Not here: copies with edits (type 3), fragments smaller than a function.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from domain.patterns import Location, PatternType
from engines.syntax import Finding, Function, ParsedFile, location, symbols

MIN_NODES: Final = 30
_IGNORED_FIELDS: Final = frozenset(
    {"ctx", "type_comment", "kind", "annotation", "returns", "decorator_list", "type_params"}
)


class Fingerprint(NamedTuple):
    """What copies have in common."""

    digest: str
    nodes: int


def find_clones(files: Sequence[ParsedFile], min_copies: int) -> list[Finding]:
    """Find families of copied functions.

    Args:
        files: parsed sources.
        min_copies: members from which a family is reported; never fewer than two.

    Returns:
        One finding for each family, in the order of its first member.
    """
    families: dict[str, list[tuple[Location, int]]] = defaultdict(list)
    for file in files:
        for symbol in symbols(file.tree):
            if symbol.local or not isinstance(symbol.node, Function):
                continue
            mark = fingerprint(symbol.node)
            if mark.nodes >= MIN_NODES:
                families[mark.digest].append((location(file, symbol.node, symbol.name), mark.nodes))
    return [_finding(members) for members in families.values() if len(members) >= max(2, min_copies)]


def fingerprint(function: Function) -> Fingerprint:
    """Return the digest of a function's arguments and body with names and literals made alike."""
    names: dict[str, int] = {}
    parts: list[str] = []
    nodes = 0
    waiting: list[object] = [*reversed(_body(function)), function.args]
    while waiting:
        item = waiting.pop()
        if isinstance(item, ast.AST):
            nodes += 1
            parts.append(type(item).__name__)
            waiting.extend(reversed(_content(item)))
        elif isinstance(item, list):
            parts.append(f"[{len(item)}")
            waiting.extend(reversed(item))
        else:
            parts.append(f"#{names.setdefault(item, len(names))}" if isinstance(item, str) else repr(item))
    return Fingerprint(sha256("\n".join(parts).encode()).hexdigest(), nodes)


def _content(node: ast.AST) -> list[object]:
    if isinstance(node, ast.Constant):
        return [_Literal(type(node.value).__name__)]
    return [value for field, value in ast.iter_fields(node) if field not in _IGNORED_FIELDS]


class _Literal:
    """The type of a literal; unlike a name it is not numbered."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __repr__(self) -> str:
        return f"<{self._kind}>"


def _body(function: Function) -> list[ast.stmt]:
    first = function.body[0]
    documented = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return function.body[1:] if documented else function.body


def _finding(members: Sequence[tuple[Location, int]]) -> Finding:
    first = members[0][0]
    return Finding(
        type=PatternType.REPETITION,
        rule="type_2_clone",
        title=f"{len(members)} functions are copies of {first.symbol}",
        locations=tuple(place for place, _ in members),
        evidence={"copies": len(members), "nodes": members[0][1]},
    )
