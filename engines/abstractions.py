"""Spec 1.2, abstraction gap and extension point - decides where code asks for a shape that nobody has given it.

Rules:
- A ladder is a chain of at least `MIN_RUNGS` `if`/`elif` that compares one thing with constants, or asks its type. A
  constant is a literal, or a name in capitals such as a member of an enumeration.
- One ladder is an extension point: every new kind has to be added there.
- Two or more ladders over the same types are an abstraction gap: each is a method that the types lack.
- At least three classes without a common base but with the same public methods, three or more, are an abstraction gap
  too: a protocol that nobody wrote down.

Not here: ladders of `match`, which name their kinds already; shapes that are only similar.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from domain.patterns import Location, PatternType
from engines.syntax import Finding, Function, ParsedFile, location, symbols

MIN_RUNGS: Final = 4
MIN_CLASSES: Final = 3
MIN_METHODS: Final = 3


class _Ladder(NamedTuple):
    """A chain of questions about one thing."""

    place: Location
    subject: str
    kinds: frozenset[str]
    of_types: bool


class _Shape(NamedTuple):
    """The public face of a class."""

    place: Location
    methods: frozenset[tuple[str, int]]
    bases: frozenset[str]


def find_abstractions(files: Sequence[ParsedFile]) -> list[Finding]:
    """Find extension points and abstraction gaps over all files."""
    ladders = [ladder for file in files for ladder in _ladders(file)]
    return [*_of_ladders(ladders), *_protocols(files)]


def _of_ladders(ladders: Sequence[_Ladder]) -> Iterator[Finding]:
    groups: dict[frozenset[str], list[_Ladder]] = defaultdict(list)
    for ladder in ladders:
        if ladder.of_types:
            groups[ladder.kinds].append(ladder)
    for kinds, group in groups.items():
        if len(group) > 1:
            title = f"{len(group)} ladders ask for the types {', '.join(sorted(kinds))}"
            yield _finding(PatternType.ABSTRACTION_GAP, "parallel_type_ladders", title, [each.place for each in group])
    for ladder in ladders:
        if not ladder.of_types or len(groups[ladder.kinds]) == 1:
            title = (
                f"{ladder.place.symbol or ladder.place.file} tells {len(ladder.kinds)} kinds of {ladder.subject} apart"
            )
            rule = "type_ladder" if ladder.of_types else "value_ladder"
            yield _finding(PatternType.EXTENSION_POINT, rule, title, [ladder.place])


def _protocols(files: Sequence[ParsedFile]) -> Iterator[Finding]:
    shapes: dict[frozenset[tuple[str, int]], list[_Shape]] = defaultdict(list)
    for file in files:
        for symbol in symbols(file.tree):
            if isinstance(symbol.node, ast.ClassDef) and not symbol.local:
                shape = _shape(symbol.node, location(file, symbol.node, symbol.name))
                shapes[shape.methods].append(shape)
    for methods, group in shapes.items():
        shared = frozenset.intersection(*(shape.bases for shape in group))
        if len(methods) >= MIN_METHODS and len(group) >= MIN_CLASSES and not shared:
            names = ", ".join(sorted(name for name, _ in methods))
            title = f"{len(group)} classes share the methods {names} and no base"
            yield _finding(PatternType.ABSTRACTION_GAP, "unwritten_protocol", title, [each.place for each in group])


def _shape(node: ast.ClassDef, place: Location) -> _Shape:
    public = [each for each in node.body if isinstance(each, Function) and not each.name.startswith("_")]
    methods = frozenset((each.name, len(each.args.posonlyargs) + len(each.args.args)) for each in public)
    return _Shape(place, methods, frozenset(ast.unparse(base) for base in node.bases))


def _ladders(file: ParsedFile) -> Iterator[_Ladder]:
    owners = [(symbol.node.lineno, symbol.node.end_lineno or 0, symbol.name) for symbol in symbols(file.tree)]
    rungs_below: set[int] = set()
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.If) or id(node) in rungs_below:
            continue
        chain = _chain(node)
        rungs_below.update(id(rung) for rung in chain)
        inside = [(start, name) for start, end, name in owners if start <= node.lineno <= end]
        ladder = _ladder(chain, location(file, node, max(inside, default=(0, ""))[1]))
        if ladder is not None:
            yield ladder


def _chain(first: ast.If) -> list[ast.If]:
    chain = [first]
    while len(chain[-1].orelse) == 1 and isinstance(following := chain[-1].orelse[0], ast.If):
        chain.append(following)
    return chain


def _ladder(chain: Sequence[ast.If], place: Location) -> _Ladder | None:
    questions = [_question(rung.test) for rung in chain]
    asked = [question for question in questions if question is not None]
    if len(asked) < len(chain) or len({(subject, of_types) for subject, _, of_types in asked}) != 1:
        return None
    kinds = frozenset(kind for _, kind, _ in asked)
    if len(kinds) < MIN_RUNGS:
        return None
    subject, _, of_types = asked[0]
    return _Ladder(place, subject, kinds, of_types)


def _question(test: ast.expr) -> tuple[str, str, bool] | None:
    """Return subject, kind and whether it is a type, of a test `subject == constant` or `isinstance(subject, type)`."""
    match test:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[kind]) if _is_constant(kind):
            return ast.unparse(left), ast.unparse(kind), False
        case ast.Call(func=ast.Name(id="isinstance"), args=[subject, kind_of]):
            return ast.unparse(subject), ast.unparse(kind_of), True
        case _:
            return None


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) or ast.unparse(node).rpartition(".")[2].isupper()


def _finding(type_: PatternType, rule: str, title: str, places: Sequence[Location]) -> Finding:
    return Finding(type=type_, rule=rule, title=title, locations=tuple(places), evidence={})
