"""Spec 11.1, static analysis - decides which dangerous things a Python file does, as its syntax tree shows them.

Rules:
- Modules are followed through `import x as y` and `from x import y as z` of the same file.
- One table row for each module or name; the rule's name says what a manifest would have to declare.
- It sees what is written: names built at run time are caught by refusing what builds them (`eval`, `__import__`, ...).

Not here: which of it is allowed (`engines/security.py`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from engines.syntax import aliases_of, dotted, parse, top_of

NETWORK_MODULES: Final = frozenset(
    {"asyncore", "ftplib", "http", "imaplib", "nntplib", "poplib", "smtplib", "socket", "socketserver", "ssl"}
    | {"telnetlib", "urllib", "webbrowser", "xmlrpc"}
)

_MODULES: Final[Mapping[str, str]] = {
    "subprocess": "subprocess",
    "multiprocessing": "subprocess",
    "pty": "subprocess",
    "socket": "socket",
    "ctypes": "native_code",
    "cffi": "native_code",
    "importlib": "dynamic_code",
    "runpy": "dynamic_code",
    "pickle": "dynamic_code",
    "marshal": "dynamic_code",
    "shelve": "dynamic_code",
    "builtins": "dynamic_code",
    "shutil": "file_write",
    "tempfile": "file_write",
    "sqlite3": "file_write",
}

_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("eval", "exec", "compile", "__import__", "__builtins__", "sys.modules"), "dynamic_code"),
    **dict.fromkeys(("os.environ", "os.environb", "os.getenv", "os.putenv"), "environment"),
    **dict.fromkeys(("os.system", "os.popen", "os.fork", "os.startfile", "os.posix_spawn"), "subprocess"),
    **dict.fromkeys(("os.execv", "os.execve", "os.execvp", "os.spawnv", "os.spawnl", "os.kill"), "subprocess"),
    **dict.fromkeys(("os.remove", "os.unlink", "os.rename", "os.replace", "os.mkdir", "os.makedirs"), "file_write"),
    **dict.fromkeys(("os.rmdir", "os.removedirs", "os.truncate", "os.write", "os.chmod", "os.link"), "file_write"),
    **dict.fromkeys(("asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"), "subprocess"),
    **dict.fromkeys(("asyncio.open_connection", "asyncio.start_server"), "socket"),
}
_WRITING_METHODS: Final = frozenset({"write_text", "write_bytes", "unlink", "rmdir", "touch", "symlink_to", "mkdir"})
_MODE: Final = re.compile(r"[rwaxbtU+]{1,4}([:|](gz|bz2|xz|\*)?)?$")
_WRITING: Final = frozenset("wax+")
_OPENERS: Final = frozenset({"open", "io.open", "os.open", "os.fdopen", "codecs.open"})


class Use(NamedTuple):
    """One dangerous or imported thing, and where it stands.

    For an import, `rule` is the top-level module.
    """

    rule: str
    what: str
    file: str
    line: int


def imported(path: str, text: str) -> Iterator[Use]:
    """Yield every module a file imports, relative imports left out."""
    tree = parse(path, text)
    if isinstance(tree, str):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Use(top_of(alias.name), f"import of {alias.name}", path, node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield Use(top_of(node.module), f"import of {node.module}", path, node.lineno)


def uses(path: str, text: str) -> Iterator[Use]:
    """Yield every dangerous thing a file does, by line."""
    tree = parse(path, text)
    if isinstance(tree, str):
        return
    modules = [use._replace(rule=_MODULES[use.rule]) for use in imported(path, text) if use.rule in _MODULES]
    aliases = aliases_of(tree)
    found = [use for node in ast.walk(tree) for use in _of_node(node, aliases, path)]
    yield from sorted({*modules, *found}, key=lambda use: (use.line, use.rule, use.what))


def _of_node(node: ast.AST, aliases: Mapping[str, str], path: str) -> Iterator[Use]:
    if isinstance(node, ast.Name | ast.Attribute):
        name = dotted(node, aliases)
        if name in _NAMES:
            yield Use(_NAMES[name], f"use of {name}", path, node.lineno)
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        if any(alias.name == "*" for alias in node.names):
            yield Use("dynamic_code", f"import of everything from {node.module}", path, node.lineno)
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (Use(_NAMES[name], f"use of {name}", path, node.lineno) for name in names if name in _NAMES)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, aliases, path)


def _of_call(node: ast.Call, aliases: Mapping[str, str], path: str) -> Iterator[Use]:
    name = dotted(node.func, aliases)
    if name == "getattr" and len(node.args) > 1:
        yield from _of_getattr(node, aliases, path)
    of_module = name in _OPENERS or top_of(name) in {top_of(module) for module in aliases.values()}
    if (name in _OPENERS or name.endswith(".open")) and _writes(node, is_method=not of_module):
        yield Use("file_write", "opening a file to write", path, node.lineno)
    elif isinstance(node.func, ast.Attribute) and node.func.attr in _WRITING_METHODS:
        yield Use("file_write", f"call of .{node.func.attr}()", path, node.lineno)


def _of_getattr(node: ast.Call, aliases: Mapping[str, str], path: str) -> Iterator[Use]:
    """Yield what is taken out of a module by the text of its name; a text made at run time may name anything."""
    module, wanted = dotted(node.args[0], aliases), node.args[1]
    if module not in aliases.values():
        return
    if not isinstance(wanted, ast.Constant):
        yield Use("dynamic_code", f"use of whatever is named in {module}", path, node.lineno)
    elif (name := f"{module}.{wanted.value!s}") in _NAMES:
        yield Use(_NAMES[name], f"use of {name}", path, node.lineno)


def _writes(call: ast.Call, *, is_method: bool) -> bool:
    """Say whether an open() may write: its mode is not given as a constant that only reads.

    The mode comes second, after a file; of a path it comes first, and of an archive second, after a member.
    """
    if any(keyword.arg is None for keyword in call.keywords):
        return True
    modes = [keyword.value for keyword in call.keywords if keyword.arg in {"mode", "flags"}]
    return any(_is_writing(mode) for mode in (*modes, *call.args[0 if is_method else 1 : 2]))


def _is_writing(mode: ast.expr) -> bool:
    """Say whether a mode may write; a text that is no mode is a name, and a number is a buffer's size."""
    if isinstance(mode, ast.Constant) and isinstance(mode.value, str):
        return _MODE.match(mode.value) is not None and not _WRITING.isdisjoint(mode.value)
    return not isinstance(mode, ast.Constant)
