"""Spec 11.1, security verification - decides what the five checks are given, and keeps what they found.

Rules:
- The copy that was fetched is checked, not the registry's: what is checked is what runs.
- The policy comes from the settings; what they do not allow is refused.

Not here: the checks (`engines/security.py`).
"""

from __future__ import annotations

from collections.abc import Iterable

from temporalio import activity

from activities import messages as m
from activities.context import LOOP, Context
from activities.registration import sources_of
from config.settings import Settings
from domain.contracts import PluginPackage
from domain.security import SecurityPolicy
from engines.security import verify


class SecurityActivities:
    """Verifies packages."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn
    def verify_security(self, message: m.StepInput) -> m.StepReport:
        """Run the five checks on the candidate."""
        remedy = message.plan.opportunity.remedy
        assert remedy is not None
        folder = self._context.packages.path(remedy.package.digest)
        package = self._context.packages.get(remedy.package.digest)
        verification = verify(package, sources_of(folder), policy_of(self._context.settings, self._context.market()))
        self._context.store.audit.append(
            key=f"{message.plan.id}/security",
            at=message.at,
            actor=LOOP,
            action="security.passed" if verification.passed else "security.refused",
            subject=message.plan.id,
            detail=verification.model_dump(mode="json"),
        )
        passed = sum(check.passed for check in verification.checks)
        findings = [finding.message for check in verification.checks for finding in check.findings]
        summary = f"{passed} of {len(verification.checks)} checks passed. {' '.join(findings)}".strip()
        return m.StepReport(passed=verification.passed, summary=summary)


def policy_of(settings: Settings, known: Iterable[PluginPackage]) -> SecurityPolicy:
    """Return what packages are checked against.

    Args:
        settings: what the house allows.
        known: the packages that are known to be what they say.
    """
    allowed = settings.security
    return SecurityPolicy(
        listed={package.id: package.digest for package in known},
        allow_unsigned=allowed.allow_unsigned,
        permissions=allowed.permissions,
        network_hosts=allowed.network_hosts,
        subprocess=allowed.subprocess,
        read_paths=tuple(map(str, allowed.read_paths)),
        write_paths=tuple(map(str, allowed.write_paths)),
        environment=allowed.environment,
    )
