"""Spec 6.1, locked requirements - decides what a plugin's own environment may be made of.

Rules:
- Every line pins one package to one version and one or more SHA-256 hashes; an environment marker may follow.
- No URLs, paths, options or includes: what is installed is what the hashes say, wherever it comes from.
- A lock is written for wheels: nothing of a package runs while it is installed.

Not here: installing (`environments.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

PINNED = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[A-Za-z0-9._,\s-]+\])?==(?P<version>[A-Za-z0-9.!+_-]+)\s*(;[^#]*?)?"
    r"(?P<hashes>(\s+--hash=sha256:[0-9a-f]{64})+)"
)


class Locked(NamedTuple):
    """One requirement of a lock."""

    name: str
    version: str


def read_lock(text: str) -> tuple[list[Locked], list[str]]:
    """Return the requirements of a lock, and what is wrong with it, a sentence for each line at fault."""
    found, faults = [], []
    for number, line in _lines(text):
        pinned = PINNED.fullmatch(line)
        if pinned is None:
            faults.append(f"line {number} is not `name==version --hash=sha256:...`: {line[:80]}")
        else:
            found.append(Locked(normalised(pinned["name"]), pinned["version"]))
    names = [one.name for one in found]
    faults += [f"{name} is locked twice" for name in sorted({name for name in names if names.count(name) > 1})]
    return found, faults


def normalised(name: str) -> str:
    """Return a distribution's name as packaging tools compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that say something, those that end with a backslash joined, each with its number."""
    joined, start = "", 1
    for number, line in enumerate(text.splitlines(), start=1):
        start = start if joined else number
        said = re.sub(r"(^|\s)#.*$", "", line).strip()
        if said.endswith("\\"):
            joined += f"{said[:-1].strip()} "
            continue
        if whole := f"{joined}{said}".strip():
            yield start, whole
        joined = ""
    if joined.strip():
        yield start, joined.strip()
