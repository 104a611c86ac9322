"""Appendix A, UpgradePlan - decides what is kept of an upgrade's plan and course.

Rules:
- A plan is listed by the capability it changes; an upgrade by its status too.

Not here: what an upgrade is (`domain/upgrades.py`), the right to run one (`store/slots.py`).
"""

from __future__ import annotations

from domain.upgrades import OUTCOMES, UpgradePlan, UpgradeRecord, UpgradeStatus
from store.records import Records
from store.sessions import Sessions
from store.tables import PlanRow, UpgradeRow

UNDER_WAY = tuple(status for status in UpgradeStatus if status not in OUTCOMES)


class Plans(Records[UpgradePlan]):
    """Every plan that was made."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__(sessions, PlanRow, UpgradePlan)

    def capability_of(self, record: UpgradePlan) -> str | None:
        """Return the capability the plan changes."""
        return record.opportunity.remedy.capability if record.opportunity.remedy else None


class Upgrades(Records[UpgradeRecord]):
    """Every upgrade, whatever became of it."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__(sessions, UpgradeRow, UpgradeRecord)

    def status_of(self, record: UpgradeRecord) -> str:
        """Return where the upgrade stands."""
        return record.status

    def capability_of(self, record: UpgradeRecord) -> str:
        """Return the capability it changes."""
        return record.capability

    def under_way(self) -> list[UpgradeRecord]:
        """Return every upgrade that has no outcome yet."""
        return [record for status in UNDER_WAY for record in self.list(status=status, limit=None)]
