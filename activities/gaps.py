"""Spec 2.1, gap detection - decides from which records gaps are looked for, and keeps what is found.

Rules:
- Sources: what agents asked for, tools they called that are not there, calls that fail, and the plugin registry; each
  can be switched off in the settings.

Not here: clustering, classifying and scoring (`engines/gaps.py`).
"""

from __future__ import annotations

from temporalio import activity

from activities import messages as m
from activities.context import Context
from activities.landscape import landscape_of
from domain.base import counted
from engines.gaps import find_gaps


class GapActivities:
    """Looks for what the agent lacks."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn
    def identify_gaps(self, message: m.CycleMoment) -> m.Discovered:
        """Find gaps in the discovery window and keep them."""
        settings = self._context.settings.discovery.gap_analysis
        if not settings.enabled:
            return m.Discovered(found=0, summary="Gap analysis is switched off.")
        store = self._context.store
        since = message.at - self._context.settings.discovery_window
        requests = store.requests.since(since) if settings.analyze_user_requests else []
        usage = store.calls.usage(since, message.at) if settings.analyze_failures else []
        landscape = landscape_of(self._context, with_market=settings.market_scan_enabled)
        gaps = find_gaps(requests, usage, landscape)
        store.discoveries.put_gaps(message.cycle_id, gaps)
        return m.Discovered(
            found=len(gaps), summary=f"{counted(len(gaps), 'gap')} in {counted(len(requests), 'request')}."
        )
