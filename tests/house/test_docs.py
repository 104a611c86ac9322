"""Spec 10.1, documents - decides whether the pages tell the truth about the repository.

Rules:
- Links lead somewhere, headings included; files that the architecture page names are there.
- README's quick start is two commands, and they are the ones of the command line's contract.
- The words that the glossary rules out do not name anything in the code.

Not here: whether the Temporal commands of README work (they are run against the real thing elsewhere).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import ROOT, documents, in_rooms

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NAMED_FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|yaml|json|md|toml|yml))`")
RULED_OUT = frozenset(
    {"skill", "skills", "proposal", "proposals", "tenant", "tenants", "arm", "arms", "undo", "revert", "backup"}
    | {"checkpoint", "slowdown", "pipeline", "addon", "addons"}
)


def prose(path: Path) -> str:
    """Return a page without its code blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """Return the link targets that a page's headings make."""
    titles = re.findall(r"^#+ +(.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(path: Path) -> Iterator[str]:
    """Yield the links of a page that lead nowhere in the repository."""
    for link in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield f"{path.relative_to(ROOT)}: {link}"


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    assert list(broken_links(path)) == []


def test_files_that_the_architecture_page_names_are_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = NAMED_FILE.findall(text)
    assert named, "the page names no file at all"
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_quick_start_is_exactly_two_commands() -> None:
    section = re.search(
        r"^## Quick start\n(.*?)^## ", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    assert section is not None
    blocks = re.findall(r"^```\w*\n(.*?)^```", section[1], re.MULTILINE | re.DOTALL)
    assert [line for block in blocks for line in block.splitlines() if line] == [
        "python run.py demo",
        "python run.py test",
    ]


def test_the_temporal_commands_stand_where_a_test_finds_them() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    _, start, rest = text.partition("<!-- temporal-commands:start -->")
    block, end, _ = rest.partition("<!-- temporal-commands:end -->")
    assert start
    assert end
    commands = "\n".join(re.findall(r"^```console\n(.*?)^```", block, re.MULTILINE | re.DOTALL))
    for needed in ("--type UpgradeCycle", "--query", "workflow query", "workflow update execute", "workflow signal"):
        assert needed in commands
    for needed in ("--type Rollback", "approve_upgrade", "reject_upgrade", "UpgradeCapability"):
        assert needed in commands


def named_things(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of every class and function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name


def words(name: str) -> set[str]:
    """Return the words of an identifier in either case style."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def test_one_word_per_concept() -> None:
    found = [
        f"{module.name}:{line} {name}"
        for module in in_rooms()
        for line, name in named_things(module.tree)
        if words(name) & RULED_OUT
    ]
    found += [module.name for module in in_rooms() if words(module.path.stem) & RULED_OUT]
    assert found == []


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert [h for h in headings[1:] if not re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", h)] == []
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
