"""Tasks the agent was given, and when it does them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def load_tasks(path: Path) -> list[dict[str, Any]]:
    tasks = []
    if not path.exists():
        return tasks
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        record = json.loads(line)
        if "what" in record:
            tasks.append(record)
    tasks.sort(key=lambda record: record.get("at", 0))
    return tasks


def due(tasks: list[dict[str, Any]], now: float) -> list[dict[str, Any]]:
    return [task for task in tasks if not task.get("done") and float(task.get("at", 0)) <= now]
