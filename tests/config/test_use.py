"""Spec 10.1, system configuration - decides whether every setting changes something.

A setting that no code reads is a promise nobody keeps. The source is read, not run: a key counts as used where code
outside of `config/` reads it from its section, directly or through a variable that holds the section.

Not here: what each setting does; the tests of the rooms.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from config.settings import Settings
from tests.house.source import Module, in_rooms

Function = ast.FunctionDef | ast.AsyncFunctionDef


def leaves(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Yield every dotted key that holds a value."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from leaves(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def tail(node: ast.expr, holders: Mapping[str, str]) -> str:
    """Return the dotted path of an expression, a variable that holds a section written out."""
    if isinstance(node, ast.Attribute):
        text = ast.unparse(node)
        return holders.get(text) or f"{tail(node.value, holders)}.{node.attr}"
    return holders.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def holders_in(nodes: Iterator[ast.AST], known: Mapping[str, str]) -> dict[str, str]:
    """Return what the names hold that are bound to an attribute: `settings = self._context.settings.rollout`."""
    found = dict(known)
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute):
            targets, values = node.targets, [node.value] * len(node.targets)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            first = node.targets[0]
            targets = first.elts if isinstance(first, ast.Tuple) else []
            values = [value for value in node.value.elts if isinstance(value, ast.Attribute)]
        else:
            continue
        for target, value in zip(targets, values, strict=False):
            found[ast.unparse(target)] = tail(value, found)
    return found


def paths_in(module: Module) -> Iterator[str]:
    """Yield the path of every attribute that a module reads."""
    own = (node for node in ast.walk(module.tree) if isinstance(node, ast.Assign) and "self." in ast.unparse(node))
    of_self = holders_in(own, {})
    for function in (node for node in ast.walk(module.tree) if isinstance(node, Function)):
        holders = holders_in(ast.walk(function), of_self)
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                yield tail(node, holders)


def properties() -> dict[str, set[str]]:
    """Return which fields the properties of the settings read, by the property's name."""
    (module,) = [module for module in in_rooms() if module.name == "config/settings.py"]
    return {
        function.name: {
            ast.unparse(node).removeprefix("self.") for node in ast.walk(function) if isinstance(node, ast.Attribute)
        }
        for function in ast.walk(module.tree)
        if isinstance(function, ast.FunctionDef)
        and any(ast.unparse(each) == "property" for each in function.decorator_list)
    }


def used() -> set[str]:
    """Return every key that code outside of `config/` reads."""
    read = {path for module in in_rooms() if module.room != "config" for path in paths_in(module)}
    through = {
        key for name, keys in properties().items() if any(path.endswith(f".{name}") for path in read) for key in keys
    }
    return {key for key in leaves() if key in through or any(f".{path}".endswith(f".{key}") for path in read)}


def test_every_setting_is_read_by_somebody() -> None:
    assert sorted(set(leaves()) - used()) == []


def test_this_reading_of_the_source_tells_sections_apart() -> None:
    code = """
def f(self):
    settings = self._context.settings.rollout
    host, port = self.gateway.host, self.gateway.port
    return settings.enabled, settings.plan
"""
    module = Module(path=in_rooms()[0].path, text=code, tree=ast.parse(code))

    paths = set(paths_in(module))

    assert {"self._context.settings.rollout.enabled", "self.gateway.port"} <= paths
    assert not any(path.endswith("performance.enabled") for path in paths)
