"""Spec 9.1, workflow ids - decides how every workflow of the house is called.

Rules:
- The id of an upgrade is its capability, so two upgrades of one capability cannot run at once.
- The other ids name the upgrade they belong to, so whoever knows the upgrade can find them.

Not here: the workflows.
"""

from __future__ import annotations


def upgrade_workflow_id(capability: str) -> str:
    """Return the id of a capability's running upgrade."""
    return f"upgrade-{capability}"


def experiment_workflow_id(upgrade_id: str) -> str:
    """Return the id of an upgrade's experiment."""
    return f"experiment-{upgrade_id}"


def rollout_workflow_id(upgrade_id: str) -> str:
    """Return the id of an upgrade's rollout."""
    return f"rollout-{upgrade_id}"


def rollback_workflow_id(upgrade_id: str) -> str:
    """Return the id of an upgrade's rollback."""
    return f"rollback-{upgrade_id}"
