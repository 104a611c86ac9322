"""Spec 9.1, sizes - decides when a module or a function has grown too long to be read in one go.

Rules:
- A module stops at 400 lines, a function at 40; its docstring does not count, so that nobody saves on words.

Not here: the number of parameters and the complexity of a function (ruff).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from plugins.core.bytecode import INSIDE
from tests.house.source import Module, python_files

LONGEST_MODULE = 400
LONGEST_FUNCTION = 40
LONGEST_RUNTIME = 300

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: Module) -> Iterator[tuple[Function, int]]:
    """Yield every function of a module with its length in lines, docstring left out."""
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            yield node, (node.end_lineno or node.lineno) - node.lineno + 1 - docstring_lines(node)


def docstring_lines(node: Function) -> int:
    """Return how many lines a function's docstring takes."""
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is None:
        return 0
    return (first.end_lineno or first.lineno) - first.lineno + 1


def test_no_module_is_longer_than_a_person_reads_in_one_go() -> None:
    long = {module.name: lines for module in python_files() if (lines := module.text.count("\n")) > LONGEST_MODULE}
    assert long == {}


def test_what_runs_beside_foreign_code_can_be_audited_by_one_person() -> None:
    names = {f"plugins.core.{name}" for name in INSIDE}
    inside = {one.dotted: one.text.count("\n") for one in python_files() if one.dotted in names}
    assert set(inside) == names
    assert max(inside.values()) < LONGEST_RUNTIME


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{module.name}:{node.lineno} {node.name}": lines
        for module in python_files()
        for node, lines in functions(module)
        if lines > LONGEST_FUNCTION
    }
    assert long == {}
