"""What the agent remembers of earlier conversations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def load_facts(path: Path) -> list[dict[str, Any]]:
    facts = []
    if not path.exists():
        return facts
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        record = json.loads(line)
        if "text" in record:
            facts.append(record)
    facts.sort(key=lambda record: record.get("at", 0))
    return facts


def relevant(facts: list[dict[str, Any]], words: set[str], limit: int = 5) -> list[dict[str, Any]]:
    scored = [(len(words & set(str(fact["text"]).lower().split())), fact) for fact in facts]
    scored.sort(key=lambda pair: pair[0], reverse=True)
    return [fact for score, fact in scored[:limit] if score]
