"""Spec 1.2, anti-pattern - decides which places of a file are built in a way that is known to cause trouble.

Rules:
- One small function for each rule, one row of `RULES` for each function; the limits stand beside the rules.
- A scope is a function, a class, or the file itself; what stands in an inner scope is told of that one only.
- Every place is one finding: a flaw need not be repeated to be one.
- A rule that is not sure is silent; each has a clean twin among the tests.

Not here: copies (`engines/clones.py`), missing abstractions (`engines/abstractions.py`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from domain.patterns import PatternType
from engines.syntax import Finding, Function, ParsedFile, aliases_of, dotted, location, symbols

MAX_STATEMENTS: Final = 50
MAX_PARAMETERS: Final = 6
MAX_NESTING: Final = 4
MAX_BRANCHES: Final = 15
MAX_METHODS: Final = 20

_BLOCKS: Final = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
_BRANCHES: Final = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.comprehension)
_ENDS: Final = (ast.Return, ast.Raise, ast.Break, ast.Continue)
_BROAD: Final = frozenset({"Exception", "BaseException"})
_NOT_METHODS: Final = frozenset({"property", "cached_property", "setter", "getter", "deleter", "overload"})
_SQL: Final = re.compile(
    r"\s*(select|insert|update|delete|replace|merge|with|create|drop|alter|truncate)\b", re.IGNORECASE
)
_BLOCKING: Final = frozenset(
    {"time.sleep", "os.system", "urllib.request.urlopen", "socket.create_connection", "input"}
    | {f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output")}
    | {f"{library}.{verb}" for library in ("requests", "httpx") for verb in ("get", "post", "put", "delete", "request")}
)


class Scope(NamedTuple):
    """A function, a class or a whole file.

    Attributes:
        name: as a person knows it.
        own: every node inside, those inside inner scopes left out.
        aliases: what the imported names of its file stand for.
    """

    name: str
    node: Function | ast.ClassDef | ast.Module
    own: Sequence[ast.AST]
    aliases: Mapping[str, str]


class Flaw(NamedTuple):
    """Where a rule applies, with a sentence."""

    node: ast.stmt | ast.expr | ast.ExceptHandler
    message: str


Rule = Callable[[Scope], Iterator[Flaw]]


def find_anti_patterns(file: ParsedFile) -> list[Finding]:
    """Apply every rule to every function and class of a file, and to what stands outside of them.

    Returns:
        Findings in the order of their lines.
    """
    aliases = aliases_of(file.tree)
    scopes: list[tuple[str, Function | ast.ClassDef | ast.Module]] = [("", file.tree)]
    scopes += [(symbol.name, symbol.node) for symbol in symbols(file.tree)]
    found = []
    for symbol, node in scopes:
        scope = Scope(symbol or file.path, node, tuple(_own(node)), aliases)
        for name, rule in RULES.items():
            found += [_finding(name, symbol, flaw, file) for flaw in rule(scope)]
    return sorted(found, key=lambda finding: (finding.locations[0].start_line, finding.rule))


def long_function(scope: Scope) -> Iterator[Flaw]:
    """A function of more than `MAX_STATEMENTS` statements does more than one thing."""
    if not isinstance(scope.node, Function):
        return
    count = sum(isinstance(node, ast.stmt) for node in scope.own)
    if count > MAX_STATEMENTS:
        yield Flaw(scope.node, f"{scope.name} has {count} statements")


def long_parameter_list(scope: Scope) -> Iterator[Flaw]:
    """A function of more than `MAX_PARAMETERS` parameters hides a type that was never made."""
    if not isinstance(scope.node, Function):
        return
    arguments = scope.node.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    count = len(names) - (bool(names) and names[0] in {"self", "cls"})
    if count > MAX_PARAMETERS:
        yield Flaw(scope.node, f"{scope.name} takes {count} parameters")


def deep_nesting(scope: Scope) -> Iterator[Flaw]:
    """Blocks within blocks, deeper than `MAX_NESTING`, cannot be followed."""
    if not isinstance(scope.node, Function):
        return
    depth = _depth(scope.node.body)
    if depth > MAX_NESTING:
        yield Flaw(scope.node, f"{scope.name} nests {depth} blocks")


def complex_function(scope: Scope) -> Iterator[Flaw]:
    """More than `MAX_BRANCHES` decisions in one function (cyclomatic complexity, McCabe 1976) cannot be tested."""
    if not isinstance(scope.node, Function):
        return
    own = scope.own
    count = 1 + sum(isinstance(node, _BRANCHES) for node in own)
    count += sum(len(node.values) - 1 for node in own if isinstance(node, ast.BoolOp))
    count += sum(len(node.cases) for node in own if isinstance(node, ast.Match))
    if count > MAX_BRANCHES:
        yield Flaw(scope.node, f"{scope.name} has a cyclomatic complexity of {count}")


def god_class(scope: Scope) -> Iterator[Flaw]:
    """A class of more than `MAX_METHODS` methods of its own knows too much; properties and overloads do not count."""
    if not isinstance(scope.node, ast.ClassDef):
        return
    methods = [node for node in scope.node.body if isinstance(node, Function) and not _is_no_method(node)]
    if len(methods) > MAX_METHODS:
        yield Flaw(scope.node, f"{scope.name} has {len(methods)} methods")


def _is_no_method(node: Function) -> bool:
    names = {dotted(decorator, {}).rpartition(".")[2] for decorator in node.decorator_list}
    return not names.isdisjoint(_NOT_METHODS)


def swallowed_exception(scope: Scope) -> Iterator[Flaw]:
    """Catching everything and doing nothing about it hides what went wrong."""
    for node in scope.own:
        if isinstance(node, ast.ExceptHandler) and _catches_all(node.type) and _does_nothing(node):
            yield Flaw(node, f"{scope.name} catches every exception and does nothing about it")


def mutable_default(scope: Scope) -> Iterator[Flaw]:
    """A default that can change is shared by all calls."""
    if not isinstance(scope.node, Function):
        return
    arguments = scope.node.args
    for default in (*arguments.defaults, *arguments.kw_defaults):
        if default is not None and _can_change(default):
            yield Flaw(default, f"{scope.name} has a default that its calls share")


def _can_change(default: ast.expr) -> bool:
    if isinstance(default, ast.Call) and isinstance(default.func, ast.Name):
        return default.func.id in {"list", "dict", "set"}
    return isinstance(default, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


def evaluated_text(scope: Scope) -> Iterator[Flaw]:
    """Running text as code lets whoever wrote the text do anything."""
    for node in scope.own:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}:
            yield Flaw(node, f"{scope.name} runs text as code with {node.func.id}()")


def sql_from_parts(scope: Scope) -> Iterator[Flaw]:
    """A statement put together from text lets its parts become commands; a statement is known by its first word."""
    for node in scope.own:
        if isinstance(node, ast.Call) and _executes(node) and _put_together(node.args[0]):
            yield Flaw(node, f"{scope.name} puts an SQL statement together from text")


def _executes(call: ast.Call) -> bool:
    named = isinstance(call.func, ast.Attribute) and call.func.attr in {"execute", "executemany", "executescript"}
    return named and bool(call.args)


def blocking_in_async(scope: Scope) -> Iterator[Flaw]:
    """A call that blocks inside `async def` stops every other task of the loop."""
    if not isinstance(scope.node, ast.AsyncFunctionDef):
        return
    for node in scope.own:
        if isinstance(node, ast.Call) and dotted(node.func, scope.aliases) in _BLOCKING:
            yield Flaw(node, f"{scope.name} is async and blocks in {dotted(node.func, scope.aliases)}()")


def unreachable_code(scope: Scope) -> Iterator[Flaw]:
    """What stands after a return, raise, break or continue of its block never runs."""
    within = (node for node in scope.own if not isinstance(node, Function | ast.ClassDef))
    for node in (scope.node, *within):
        for block in _blocks(node):
            ended = next((place for place, each in enumerate(block[:-1]) if isinstance(each, _ENDS)), None)
            if ended is not None and not _makes_generator(block[ended + 1]):
                yield Flaw(block[ended + 1], f"{scope.name} has code that never runs")


def _makes_generator(statement: ast.stmt) -> bool:
    """Say whether a statement is the bare `yield` that makes an empty generator of its function."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Yield)


RULES: Final[dict[str, Rule]] = {
    rule.__name__: rule
    for rule in (
        long_function,
        long_parameter_list,
        deep_nesting,
        complex_function,
        god_class,
        swallowed_exception,
        mutable_default,
        evaluated_text,
        sql_from_parts,
        blocking_in_async,
        unreachable_code,
    )
}


def _finding(rule: str, symbol: str, flaw: Flaw, file: ParsedFile) -> Finding:
    return Finding(
        type=PatternType.ANTI_PATTERN,
        rule=rule,
        title=flaw.message,
        locations=(location(file, flaw.node, symbol),),
        evidence={},
    )


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is inside a function, but not what is inside the functions and classes within it."""
    waiting = list(ast.iter_child_nodes(node))
    while waiting:
        inner = waiting.pop()
        yield inner
        if not isinstance(inner, Function | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(inner))


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    fields = (getattr(node, name, None) for name in ("body", "orelse", "finalbody"))
    yield from (block for block in fields if isinstance(block, list) and block)


def _depth(block: list[ast.stmt]) -> int:
    """Return how many blocks stand within each other; an `elif` is no deeper than its `if`."""
    waiting, deepest = [(statement, 0) for statement in block], 0
    while waiting:
        node, depth = waiting.pop()
        inner = depth + 1 if isinstance(node, _BLOCKS) else depth
        deepest = max(deepest, inner)
        chained = isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If)
        for child in _own_statements(node):
            is_elif = chained and isinstance(node, ast.If) and child is node.orelse[0]
            waiting.append((child, depth if is_elif else inner))
    return deepest


def _own_statements(node: ast.stmt) -> Iterator[ast.stmt]:
    if isinstance(node, Function | ast.ClassDef):
        return
    for block in _blocks(node):
        yield from block
    for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield from part.body


def _catches_all(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_catches_all(each) for each in caught.elts)
    return caught is None or (isinstance(caught, ast.Name) and caught.id in _BROAD)


def _does_nothing(handler: ast.ExceptHandler) -> bool:
    return all(
        isinstance(each, ast.Pass | ast.Continue)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        for each in handler.body
    )


def _put_together(text: ast.expr) -> bool:
    return _is_joined(text) and _SQL.match(_beginning(text)) is not None


def _beginning(text: ast.AST) -> str:
    """Return the constant text that an expression starts with."""
    while not isinstance(text, ast.Constant):
        parts = [*ast.iter_child_nodes(text)]
        if not parts:
            return ""
        text = parts[0]
    return text.value if isinstance(text.value, str) else ""


def _is_joined(text: ast.expr) -> bool:
    if isinstance(text, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in text.values)
    if isinstance(text, ast.Call):
        return isinstance(text.func, ast.Attribute) and text.func.attr == "format"
    return isinstance(text, ast.BinOp) and isinstance(text.op, ast.Mod | ast.Add) and not _constant(text)


def _constant(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return _constant(node.left) and _constant(node.right)
    return isinstance(node, ast.Constant)
