"""Makes plugin packages on disk for the tests; every one is a real package that real processes run."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

from domain.routing import PluginVersion
from plugins.core.packages import PackageStore

NUMBER = {"type": "number"}
INTEGER = {"type": "integer"}


def an_object(**properties: Any) -> dict[str, Any]:
    """Return a schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def a_method(name: str, given: dict[str, Any], result: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a method without side effects."""
    return {
        "name": name,
        "description": f"{name}.",
        "input_schema": given,
        "output_schema": result,
        "side_effects": "none",
        **more,
    }


ADD = a_method(
    "add",
    an_object(a=INTEGER, b=INTEGER),
    an_object(sum=INTEGER),
    examples=[{"arguments": {"a": 2, "b": 3}, "result": {"sum": 5}}],
)
ADD_CODE = """
class Numbers:
    def add(self, a, b):
        return {"sum": a + b}

capabilities = {"numbers": Numbers()}
"""
ANYTHING = {"type": "object"}


def a_manifest(*methods: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the manifest of a plugin `calculator` that provides `numbers`."""
    return {
        "name": "calculator",
        "version": "1.0.0",
        "description": "Calculates.",
        "provided_interfaces": [{"name": "numbers", "version": "1.0.0", "methods": list(methods or (ADD,))}],
        **more,
    }


def write_package(folder: Path, manifest: dict[str, Any] | None = None, code: str = ADD_CODE) -> Path:
    """Write a package and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(a_manifest() if manifest is None else manifest), encoding="utf-8")
    (folder / "plugin.py").write_text(dedent(code), encoding="utf-8")
    return folder


def numbers_plugin(body: str, head: str = "") -> str:
    """Return the code of a plugin whose capability `numbers` has these methods."""
    methods = "\n".join(f"    {line}" for line in dedent(body).strip().splitlines())
    return f"{dedent(head)}\nclass Numbers:\n{methods}\n\ncapabilities = {{'numbers': Numbers()}}\n"


def add_package(store: PackageStore, folder: Path) -> PluginVersion:
    """Put a package into the store and return the version it is."""
    package = store.add(folder)
    return PluginVersion(plugin=package.contract.name, version=package.contract.version, digest=package.digest)


HANDLE = """
import gc, json, os, sys, threading, time

def server():
    return next(one for one in gc.get_objects() if type(one).__name__ == "Server")

def say(line):
    answers = server().answers.stream
    answers.write(line + b"\\n")
    answers.flush()
"""
"""Gives a hostile plugin the runtime's own channel."""


def a_tool(name: str, **more: Any) -> dict[str, Any]:
    """Return a repeatable method that takes and gives any object."""
    return a_method(name, ANYTHING, ANYTHING, **more)


def an_unsafe_tool(name: str, **more: Any) -> dict[str, Any]:
    """Return a method with side effects that takes and gives any object."""
    return a_tool(name, **{"side_effects": "unsafe", **more})
