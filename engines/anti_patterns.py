"""Spec 1.2, anti-pattern - decides which places of a file are built in a way that is known to cause trouble.

Rules:
- One small function for each rule, one row of `RULES` for each function; the limits stand beside the rules.
- Every place is one finding: a flaw need not be repeated to be one.
- A rule that is not sure is silent; each has a clean twin among the tests.

Not here: copies (`engines/clones.py`), missing abstractions (`engines/abstractions.py`).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from domain.patterns import PatternType
from engines.syntax import Finding, Function, ParsedFile, Symbol, aliases_of, dotted, location, symbols

MAX_STATEMENTS: Final = 50
MAX_PARAMETERS: Final = 6
MAX_NESTING: Final = 4
MAX_BRANCHES: Final = 15
MAX_METHODS: Final = 20

_BLOCKS: Final = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
_BRANCHES: Final = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.comprehension)
_ENDS: Final = (ast.Return, ast.Raise, ast.Break, ast.Continue)
_BROAD: Final = frozenset({"Exception", "BaseException"})
_BLOCKING: Final = frozenset(
    {"time.sleep", "os.system", "urllib.request.urlopen", "socket.create_connection", "input"}
    | {f"subprocess.{name}" for name in ("run", "call", "check_call", "check_output")}
    | {f"{library}.{verb}" for library in ("requests", "httpx") for verb in ("get", "post", "put", "delete", "request")}
)


class Flaw(NamedTuple):
    """Where a rule applies, with a sentence."""

    node: ast.stmt | ast.expr | ast.ExceptHandler
    message: str


Rule = Callable[[Symbol, ParsedFile], Iterator[Flaw]]


def find_anti_patterns(file: ParsedFile) -> list[Finding]:
    """Apply every rule to every function and class of a file.

    Returns:
        Findings in the order of their lines.
    """
    found = []
    for symbol in symbols(file.tree):
        for name, rule in RULES.items():
            found += [_finding(name, symbol.name, flaw, file) for flaw in rule(symbol, file)]
    return sorted(found, key=lambda finding: (finding.locations[0].start_line, finding.rule))


def long_function(symbol: Symbol, file: ParsedFile) -> Iterator[Flaw]:
    """A function of more than `MAX_STATEMENTS` statements does more than one thing."""
    del file
    count = sum(isinstance(node, ast.stmt) for node in _own(symbol.node)) if isinstance(symbol.node, Function) else 0
    if count > MAX_STATEMENTS:
        yield Flaw(symbol.node, f"{symbol.name} has {count} statements")


def long_parameter_list(symbol: Symbol, file: ParsedFile) -> Iterator[Flaw]:
    """A function of more than `MAX_PARAMETERS` parameters hides a type that was never made."""
    del file
    if not isinstance(symbol.node, Function):
        return
    arguments = symbol.node.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    count = len(names) - (bool(names) and names[0] in {"self", "cls"})
    if count > MAX_PARAMETERS:
        yield Flaw(symbol.node, f"{symbol.name} takes {count} parameters")


def deep_nesting(symbol: Symbol, file: ParsedFile) -> Iterator[Flaw]:
    """Blocks within blocks, deeper than `MAX_NESTING`, cannot be followed."""
    del file
    depth = _depth(symbol.node.body) if isinstance(symbol.node, Function) else 0
    if depth > MAX_NESTING:
        yield Flaw(symbol.node, f"{symbol.name} nests {depth} blocks")


def complex_function(symbol: Symbol, file: ParsedFile) -> Iterator[Flaw]:
    """More than `MAX_BRANCHES` decisions in one function (cyclomatic complexity, McCabe 1976) cannot be tested."""
    del file
    if not isinstance(symbol.node, Function):
        return
    own = list(_own(symbol.node))
    count = 1 + sum(isinstance(node, _BRANCHES) for node in own)
    count += sum(len(node.values) - 1 for node in own if isinstance(node, ast.BoolOp))
    count += sum(len(node.cases) for node in own if isinstance(node, ast.Match))
    if count > MAX_BRANCHES:
        yield Flaw(symbol.node, f"{symbol.name} has a cyclomatic complexity of {count}")


def god_class(symbol: Symbol, file: ParsedFile) -> Iterator[Flaw]:
    """A class of more than `MAX_METHODS` methods of its own knows too much; its properties do not count."""
    del file
    if not isinstance(symbol.node, ast.ClassDef):
        return
    methods = [node for node in symbol.node.body if isinstance(node, Function) and not node.decorator_list]
    if len(methods) > MAX_METHODS:
        yield Flaw(symbol.node, f"{symbol.name} has {len(methods)} methods")


def swallowed_exception(symbol: Symbol, file: ParsedFile) -> Iterator[Flaw]:
    """Catching everything and doing nothing about it hides what went wrong."""
    del file
    for node in _of_function(symbol):
        if isinstance(node, ast.ExceptHandler) and _catches_all(node.type) and _does_nothing(node):
            yield Flaw(node, f"{symbol.name} catches every exception and does nothing about it")


def mutable_default(symbol: Symbol, file: ParsedFile) -> Iterator[Flaw]:
    """A default that can change is shared by all calls."""
    del file
    if not isinstance(symbol.node, Function):
        return
    for default in (*symbol.node.args.defaults, *symbol.node.args.kw_defaults):
        if default is not None and _can_change(default):
            yield Flaw(default, f"{symbol.name} has a default that its calls share")


def _can_change(default: ast.expr) -> bool:
    if isinstance(default, ast.Call) and isinstance(default.func, ast.Name) and not default.args:
        return default.func.id in {"list", "dict", "set"}
    return isinstance(default, ast.List | ast.Dict | ast.Set)


def evaluated_text(symbol: Symbol, file: ParsedFile) -> Iterator[Flaw]:
    """Running text as code lets whoever wrote the text do anything."""
    del file
    for node in _of_function(symbol):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}:
            yield Flaw(node, f"{symbol.name} runs text as code with {node.func.id}()")


def sql_from_parts(symbol: Symbol, file: ParsedFile) -> Iterator[Flaw]:
    """A statement put together from text lets its parts become commands."""
    del file
    for node in _of_function(symbol):
        if isinstance(node, ast.Call) and _executes(node) and _put_together(node.args[0]):
            yield Flaw(node, f"{symbol.name} puts an SQL statement together from text")


def _executes(call: ast.Call) -> bool:
    named = isinstance(call.func, ast.Attribute) and call.func.attr in {"execute", "executemany", "executescript"}
    return named and bool(call.args)


def blocking_in_async(symbol: Symbol, file: ParsedFile) -> Iterator[Flaw]:
    """A call that blocks inside `async def` stops every other task of the loop."""
    if not isinstance(symbol.node, ast.AsyncFunctionDef):
        return
    aliases = aliases_of(file.tree)
    for node in _own(symbol.node):
        if isinstance(node, ast.Call) and dotted(node.func, aliases) in _BLOCKING:
            yield Flaw(node, f"{symbol.name} is async and blocks in {dotted(node.func, aliases)}()")


def unreachable_code(symbol: Symbol, file: ParsedFile) -> Iterator[Flaw]:
    """What stands after a return, raise, break or continue of its block never runs."""
    del file
    for node in _of_function(symbol):
        for block in _blocks(node):
            ended = next((place for place, each in enumerate(block[:-1]) if isinstance(each, _ENDS)), None)
            if ended is not None:
                yield Flaw(block[ended + 1], f"{symbol.name} has code that never runs")


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


def _of_function(symbol: Symbol) -> Iterator[ast.AST]:
    if isinstance(symbol.node, Function):
        yield symbol.node
        yield from _own(symbol.node)


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
    return caught is None or (isinstance(caught, ast.Name) and caught.id in _BROAD)


def _does_nothing(handler: ast.ExceptHandler) -> bool:
    return all(
        isinstance(each, ast.Pass | ast.Continue)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        for each in handler.body
    )


def _put_together(text: ast.expr) -> bool:
    if isinstance(text, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in text.values)
    if isinstance(text, ast.Call):
        return isinstance(text.func, ast.Attribute) and text.func.attr == "format"
    return isinstance(text, ast.BinOp) and isinstance(text.op, ast.Mod | ast.Add) and not _constant(text)


def _constant(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return _constant(node.left) and _constant(node.right)
    return isinstance(node, ast.Constant)
