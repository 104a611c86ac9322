"""Appendix B, output documents - decides how records are printed as JSON.

Rules:
- A record keeps its own fields; what the contract names beside them is added.

Not here: tables for people; each command draws its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.base import JsonObject
from domain.cycles import CycleRecord
from domain.upgrades import UpgradeRecord

if TYPE_CHECKING:
    from worker.demo import StoryEnd  # the story brings every room along, and the gateway's process must start quickly


def cycle_document(record: CycleRecord) -> JsonObject:
    """Return a cycle with the seconds each phase took."""
    document: JsonObject = record.model_dump(mode="json")
    document["phases"] = [{**phase.model_dump(mode="json"), "seconds": phase.seconds} for phase in record.phases]
    return document


def upgrade_document(record: UpgradeRecord) -> JsonObject:
    """Return an upgrade."""
    document: JsonObject = record.model_dump(mode="json")
    return document


def demo_document(end: StoryEnd) -> JsonObject:
    """Return the demo's outcome."""
    cycle = cycle_document(end.cycle)
    return {
        "cycle": {name: cycle[name] for name in ("id", "status", "phases")},
        "upgrades": [upgrade_document(record) for record in end.upgrades],
        "calls": {
            "total": end.calls,
            "failed_by_loop": end.failed_by_loop,
            "users": {
                "total": end.users.total,
                "ok": end.users.ok,
                "lacking": end.users.lacking,
                "retried": end.users.retried,
                "failed": end.users.failed,
            },
        },
        "as_told": end.as_told,
        "temporal_ui": end.addresses.ui,
    }
