"""Spec 2.1, the landscape - decides what engines are told of what is installed, routed and on offer.

Not here: what they make of it.
"""

from __future__ import annotations

from activities.context import Context
from domain.opportunities import Landscape


def landscape_of(context: Context, *, with_market: bool = True) -> Landscape:
    """Return what is installed, routed and on offer now."""
    return Landscape(
        market=tuple(context.market()) if with_market else (),
        installed=tuple(context.store.packages.list()),
        routes=context.store.routes.load(),
        strategic_keywords=context.settings.agent.strategic_keywords,
    )
