"""Notes the agent keeps for its owner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def load_notes(path: Path) -> list[dict[str, Any]]:
    notes = []
    if not path.exists():
        return notes
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        record = json.loads(line)
        if "body" in record:
            notes.append(record)
    notes.sort(key=lambda record: record.get("at", 0))
    return notes


def title_of(note: dict[str, Any]) -> str:
    first = str(note["body"]).strip().splitlines()[0]
    return first[:60] + ("..." if len(first) > 60 else "")
