"""How the agent's prompt is put together."""

from __future__ import annotations

from typing import Any


def assemble(system, history, facts, notes, tasks, tools, budget, language, tone) -> str:  # nine things, one function
    parts = [system.strip()]
    if language and language != "en":
        parts.append(f"Answer in {language}.")
    if tone == "short":
        parts.append("Be brief.")
    elif tone == "friendly":
        parts.append("Be friendly.")
    elif tone == "formal":
        parts.append("Be formal.")
    if facts:
        parts.append("What you know:")
        for fact in facts:
            if fact.get("text"):
                if not fact.get("old"):
                    if len(fact["text"]) < 400:
                        parts.append("- " + fact["text"])
                    else:
                        parts.append("- " + fact["text"][:400] + "...")
    if notes:
        parts.append("Notes:")
        for note in notes:
            parts.append("- " + str(note.get("body", ""))[:200])
    if tasks:
        parts.append("Open tasks:")
        for task in tasks:
            parts.append("- " + str(task.get("what", "")))
    if tools:
        parts.append("You may use: " + ", ".join(sorted(tools)))
    used = sum(len(part) for part in parts)
    kept: list[dict[str, Any]] = []
    for turn in reversed(history):
        used += len(turn["text"])
        if used > budget:
            break
        kept.insert(0, turn)
    for turn in kept:
        parts.append(f"{turn['who']}: {turn['text']}")
    return "\n".join(parts)
