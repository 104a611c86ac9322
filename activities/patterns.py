"""Spec 1.1, pattern detection - decides what is scanned for patterns, and keeps what is found.

Rules:
- Two layers: the agent's own code, and the calls of the discovery window.
- The scan runs in a process of its own, so that it never holds up a workflow.
- A file that is no text is passed over; one that cannot be parsed is told by the engine.

Not here: the rules and the score (`engines/patterns.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path

from temporalio import activity

from activities import messages as m
from activities.context import Context, beating
from config.settings import ScanDepth
from domain.base import counted
from domain.patterns import ArchitecturalPattern, ScanResult, SourceFile
from engines.patterns import bottlenecks, rank, scan_sources

LARGEST_FILE_BYTES = 2_000_000
PASSED_OVER = frozenset({"__pycache__", ".git", ".venv", "node_modules", "site-packages"})


class PatternActivities:
    """Looks for what could be better."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn
    async def detect_patterns(self, message: m.CycleMoment) -> m.Discovered:
        """Find patterns in code and calls, and keep them."""
        settings = self._context.settings.discovery.pattern_recognition
        if not settings.enabled:
            return m.Discovered(found=0, summary="Pattern recognition is switched off.")
        async with beating():
            scanned = await self._scan(settings.scan_depth, settings.min_pattern_frequency)
            behaviour = await asyncio.to_thread(self._behaviour, message, settings.min_pattern_frequency)
            patterns = rank([*scanned.patterns, *behaviour])
            await asyncio.to_thread(self._context.store.discoveries.put_patterns, message.cycle_id, patterns)
        skipped = f", {len(scanned.skipped)} skipped" if scanned.skipped else ""
        where = f"{counted(scanned.files, 'file')} ({scanned.lines} lines{skipped})"
        summary = f"{counted(len(patterns), 'pattern')} in {where} and in calls."
        return m.Discovered(found=len(patterns), summary=summary)

    async def _scan(self, depth: ScanDepth, min_frequency: int) -> ScanResult:
        sources = await asyncio.to_thread(lambda: list(_sources(self._context.settings.agent.source_paths, depth)))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._context.processor, scan_sources, sources, min_frequency)

    def _behaviour(self, message: m.CycleMoment, min_calls: int) -> list[ArchitecturalPattern]:
        since = message.at - self._context.settings.discovery_window
        return bottlenecks(self._context.store.calls.usage(since, message.at), min_calls)


def _sources(roots: Iterable[Path], depth: ScanDepth) -> Iterator[SourceFile]:
    for root in roots:
        found = root.rglob("*.py") if depth is ScanDepth.DEEP else root.glob("*.py")
        for path in sorted(found):
            if PASSED_OVER.isdisjoint(path.parts) and path.stat().st_size <= LARGEST_FILE_BYTES:
                text = _text(path)
                if text is not None:
                    yield SourceFile(path=path.relative_to(root.parent).as_posix(), text=text)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
