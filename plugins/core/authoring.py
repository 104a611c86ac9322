"""Spec 3.3, new plugins - decides what a new plugin's folder holds.

Rules:
- A new plugin is a whole package that passes every check and serves as it is; its author changes it step by step.
- A foreign MCP server is asked for its tools, and its folder is written from what it says: schemas word for word, side
  effects as its annotations claim, which are claims and no promises.
- Nothing that is there is written over.

Not here: packing (`archives.py`), speaking with the server (`dialects.py`).
"""

from __future__ import annotations

import json
import keyword
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from domain.base import JsonObject
from domain.contracts import NAME_PATTERN, TOOL_NAME_LIMIT, PluginContract, WireProtocol, tool_name
from domain.errors import InvalidInput
from domain.isolation import Isolation
from plugins.core.contracts import schema_faults
from plugins.core.process import PluginProcess
from plugins.core.sandbox import Jail

TEMPLATE: Final = Path(__file__).resolve().parents[1] / "template"
LONGEST_NAME: Final = 40
TEXT_ANSWER: Final[JsonObject] = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
}


def checked_name(name: str) -> str:
    """Return a plugin's name if it is one.

    Raises:
        InvalidInput: it is none.
    """
    if not re.fullmatch(NAME_PATTERN, name) or len(name) > LONGEST_NAME or keyword.iskeyword(name):
        raise InvalidInput(
            f"{name!r} is no name for a plugin.",
            hint=f"Use lower-case words joined by single underscores, at most {LONGEST_NAME} letters: my_plugin.",
        )
    return name


def write_template(folder: Path, name: str, isolation: Isolation | None = None) -> list[str]:
    """Write the folder of a new plugin and return the files in it.

    Args:
        folder: to be made.
        name: of the plugin and of its one capability.
        isolation: the tier it is to run in; its manifest names none when not given.

    Raises:
        InvalidInput: the name is none, or the folder is there already.
    """
    checked_name(name)
    _refuse_existing(folder)
    words = {"my_plugin": name, "MyPlugin": "".join(word.capitalize() for word in name.split("_"))}
    if isolation is not None:
        words['"security_profile": {'] = f'"security_profile": {{\n    "isolation": "{isolation}",'
    written = []
    for source in sorted(TEMPLATE.rglob("*")):
        if not source.is_file() or "__pycache__" in source.parts:
            continue
        relative, text = source.relative_to(TEMPLATE).as_posix(), source.read_text(encoding="utf-8")
        for old, new in words.items():
            relative, text = relative.replace(old, new), text.replace(old, new)
        _write(folder / relative, text)
        written.append(relative)
    return written


async def write_foreign(
    folder: Path, name: str, command: Sequence[str], jail: Jail, files: Path | None = None
) -> tuple[list[str], list[str]]:
    """Write the folder of a plugin that is a foreign MCP stdio server.

    Args:
        folder: to be made.
        name: of the plugin and of its one capability.
        command: starts the server; `{package}` stands for the folder, `{python}` for its Python.
        jail: the walls the server is asked behind.
        files: a folder whose files the server needs; they are copied in first.

    Returns:
        The files written, and the tools that were left out, each with the reason.

    Raises:
        InvalidInput: the name is none, the folder is there, or the server offers nothing that can be used.
        PluginFailure: the server does not start or does not answer.
    """
    checked_name(name)
    _refuse_existing(folder)
    try:
        if files is not None:
            shutil.copytree(files, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        manifest = _foreign_manifest(name, command, [])
        _write(folder / "manifest.json", _as_text({**manifest, "provided_interfaces": [_placeholder(name)]}))
        contract = PluginContract.model_validate({**manifest, "provided_interfaces": [_placeholder(name)]})
        protocol, tools = await PluginProcess.survey(folder, contract, jail=jail)
        methods, left_out = _methods_of(name, tools)
        if not methods:
            raise InvalidInput(f"The server offers no tool that can be used: {'; '.join(left_out) or 'none at all'}.")
        written = _write_methods(folder, name, methods)
        _write(folder / "manifest.json", _as_text(_foreign_manifest(name, command, methods, protocol)))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return ["manifest.json", *written], left_out


def method_name(tool: str, taken: Mapping[str, object]) -> str:
    """Return a method's name for a tool's: words joined by underscores, unlike all that are taken."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", tool)
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    name = (name if re.match(r"[a-z]", name) else f"tool_{name}".rstrip("_"))[:LONGEST_NAME].rstrip("_")
    free, number = name, 2
    while free in taken:
        free, number = f"{name[: LONGEST_NAME - 4]}_{number}", number + 1
    return free


def _methods_of(name: str, tools: Sequence[JsonObject]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    methods: dict[str, dict[str, Any]] = {}
    left_out = []
    for tool in tools:
        called = str(tool.get("name"))
        method = _method_of(tool)
        method["name"] = method_name(called, methods)
        faults = [*schema_faults("input", method["input"]), *schema_faults("output", method["output"])]
        if len(tool_name(name, method["name"])) > TOOL_NAME_LIMIT:
            faults.append(("name", f"is longer than {TOOL_NAME_LIMIT} letters together with {name}"))
        if faults:
            left_out.append(f"{called}: {faults[0][0]} {faults[0][1]}")
        else:
            methods[method["name"]] = method
    return methods, left_out


def _method_of(tool: JsonObject) -> dict[str, Any]:
    hints = tool.get("annotations")
    claims = hints if isinstance(hints, dict) else {}
    idempotent = "idempotent" if claims.get("idempotentHint") is True else "unsafe"
    return {
        "tool": tool.get("name"),
        "description": str(tool.get("description") or tool.get("name")),
        "side_effects": "none" if claims.get("readOnlyHint") is True else idempotent,
        "timeout_seconds": 30,
        "input": tool.get("inputSchema") or {"type": "object"},
        "output": tool.get("outputSchema") or TEXT_ANSWER,
    }


def _write_methods(folder: Path, name: str, methods: Mapping[str, Mapping[str, Any]]) -> list[str]:
    written = []
    for method in methods.values():
        relative = f"contracts/{tool_name(name, method['name'])}.json"
        _write(folder / relative, _as_text({"input": method["input"], "output": method["output"]}))
        written.append(relative)
    return written


def _foreign_manifest(
    name: str,
    command: Sequence[str],
    methods: Mapping[str, Mapping[str, Any]] | Sequence[Any],
    protocol: WireProtocol = WireProtocol.AUTO,
) -> dict[str, Any]:
    listed = methods.values() if isinstance(methods, Mapping) else ()
    shown = [{key: value for key, value in method.items() if key not in {"input", "output"}} for method in listed]
    return {
        "name": name,
        "version": "1.0.0",
        "description": f"The MCP server {' '.join(command)[:200]}",
        "command": list(command),
        "protocol": protocol,
        "provided_interfaces": [{"name": name, "version": "1.0.0", "methods": shown}],
        "resource_requirements": {"memory_mb": 512, "spares": 1},
    }


def _placeholder(name: str) -> dict[str, Any]:
    """Return an interface that stands in a manifest while its server is asked what it offers."""
    anything = {"type": "object"}
    method = {"name": "unknown", "description": "Unknown.", "input_schema": anything, "output_schema": anything}
    return {"name": name, "version": "1.0.0", "methods": [method]}


def _refuse_existing(folder: Path) -> None:
    if folder.exists():
        raise InvalidInput(f"{folder} is there already.", hint="Name another plugin, or another folder with --into.")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _as_text(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
