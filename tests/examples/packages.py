"""The example agent's packages, and calls such as its users make."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import util
from pathlib import Path
from random import Random
from typing import Any

from examples.agent import inputs
from plugins.core.packages import read_package

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "examples" / "agent"
INSTALLED = AGENT / "plugins" / "installed"
REGISTRY = AGENT / "registry"
FOLDERS = sorted(path.parent for path in AGENT.rglob("manifest.json"))

Call = tuple[str, str, dict[str, Any]]
"""Capability, method and arguments."""


def offered(name: str, version: str) -> Path:
    """Return the folder of a package of the registry."""
    return REGISTRY / "packages" / name / version


def methods_of(folder: Path, capability: str) -> Any:
    """Return what answers a capability's methods, loaded from a package's file as its own process would."""
    spec = util.spec_from_file_location(f"plugin_{read_package(folder).digest}", folder / "plugin.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.capabilities[capability]


def text_calls(random: Random, count: int) -> Iterator[Call]:
    """Yield calls of the text tools: pages, notes, and what is not quite either."""
    for _ in range(count):
        shape = random.choice((inputs.prose, inputs.notes, _mixed))
        text = shape(random, random.randint(0, 40))
        method = random.choice(("summarise", "keywords", "similar_lines"))
        options: dict[str, dict[str, Any]] = {
            "summarise": {"sentences": random.randint(1, 5)},
            "keywords": {"limit": random.randint(1, 15)},
            "similar_lines": {"threshold": random.choice((0.3, 0.6, 0.9))},
        }
        yield "text", method, {"text": text, **options[method]}


def document_calls(random: Random, count: int) -> Iterator[Call]:
    """Yield an outline, the tables and the size of documents, no two the same."""
    for _ in range(count):
        text = inputs.document(random)
        yield "documents", random.choice(("outline", "extract_tables", "word_count")), {"text": text}


def date_calls(random: Random, count: int) -> Iterator[Call]:
    """Yield calls of the date tools."""
    for _ in range(count):
        method, arguments = inputs.date_call(random)
        yield "dates", method, arguments


def unit_calls(random: Random, count: int) -> Iterator[Call]:
    """Yield conversions."""
    for _ in range(count):
        yield "units", "convert", inputs.conversion(random)


def _mixed(random: Random, lines: int) -> str:
    odd = (
        "",
        "---",
        "e.g. this, i.e. that. Or not?",
        "Dr. Brown's 12 keys!",
        "ÄÖÜ straße Straße.",
        '"Said." (Really.)',
    )
    return "\n".join(random.choice((inputs.sentence(random), random.choice(odd))) for _ in range(lines))
