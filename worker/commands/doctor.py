"""Appendix B, health of an installation - decides what `upgrade-loop doctor` says.

Rules:
- One line for each fact, tier and plugin; each that is wrong is followed by what mends it.
- Exit code 1 if something is missing that the product needs.

Not here: what is looked at (`worker/doctor.py`).
"""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Console

from worker.commands.session import SESSION, table
from worker.doctor import Fact, Health, PluginFound, TierFound, examine


def doctor() -> None:
    """Tell whether everything is here that the product needs, how plugins are walled in, and what mends what is not."""
    health = SESSION.run(examine(SESSION.home))
    SESSION.code = 0 if health.ok else 1
    document = {
        "ok": health.ok,
        "home": SESSION.home.root,
        "facts": [asdict(fact) for fact in health.facts],
        "tiers": [asdict(found) | {"available": found.available} for found in health.tiers],
        "plugins": [asdict(found) for found in health.plugins],
    }
    SESSION.answer(document, lambda out: _tell(out, health))


def _tell(out: Console, health: Health) -> None:
    out.print(table("Health", ("", "", "found"), [_of_fact(fact) for fact in health.facts]))
    out.print(table("Tiers, the strongest first", ("tier", "", "started"), [_of_tier(one) for one in health.tiers]))
    if health.plugins:
        headings = ("plugin", "tier", "why", "runs in")
        out.print(table("Plugins in service", headings, [_of_plugin(one) for one in health.plugins]))
    mended = [(fact.name, fact.fix) for fact in health.facts if not fact.ok]
    mended += [(f"tier {one.tier}", one.fix) for one in health.tiers if not one.available]
    mended += [(one.id, one.fix) for one in health.plugins if one.tier is None]
    for name, fix in mended:
        if fix:
            out.print(f"{name}: {fix}", highlight=False, markup=False)
    out.print("All that is needed is here." if health.ok else "Something that is needed is missing.")


def _of_fact(fact: Fact) -> tuple[str, ...]:
    return fact.name, "ok" if fact.ok else ("MISSING" if fact.needed else "no"), fact.said


def _of_tier(found: TierFound) -> tuple[str, ...]:
    return found.tier, "ok" if found.available else "no", found.reason or f"ready in {found.start_ms} ms"


def _of_plugin(found: PluginFound) -> tuple[str, ...]:
    return found.id, found.tier or "NONE", found.why, found.running or ""
