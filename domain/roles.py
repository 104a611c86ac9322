"""Spec 11.2, permission model - decides which role may give which command.

Rules:
- Five roles. Each row of the table says all that its role may do; what it does not say is refused.
- Reading is open to every role.
- Who installs or retires a plugin by hand goes past the loop's gates, and so must have full control.

Not here: who holds a role (`config/`), proving that they are who they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from domain.base import Model
from domain.errors import PermissionDenied


class Role(StrEnum):
    """The five roles of 11.2."""

    OBSERVER = "observer"
    ANALYST = "analyst"
    APPROVER = "approver"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"


class Command(StrEnum):
    """Everything a person can order."""

    VIEW = "view"
    TRIGGER_CYCLE = "trigger_cycle"
    APPROVE_UPGRADE = "approve_upgrade"
    REJECT_UPGRADE = "reject_upgrade"
    START_UPGRADE = "start_upgrade"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ROLLBACK_UPGRADE = "rollback_upgrade"
    CONFIGURE_LOOP = "configure_loop"
    INSTALL_PLUGIN = "install_plugin"
    RETIRE_PLUGIN = "retire_plugin"


_OPERATE = frozenset({Command.START_UPGRADE, Command.PAUSE, Command.RESUME, Command.PROMOTE, Command.ROLLBACK_UPGRADE})

COMMANDS_OF: Mapping[Role, frozenset[Command]] = {
    Role.OBSERVER: frozenset({Command.VIEW}),
    Role.ANALYST: frozenset({Command.VIEW, Command.TRIGGER_CYCLE}),
    Role.APPROVER: frozenset({Command.VIEW, Command.APPROVE_UPGRADE, Command.REJECT_UPGRADE}),
    Role.OPERATOR: frozenset({Command.VIEW, Command.TRIGGER_CYCLE}) | _OPERATE,
    Role.ADMINISTRATOR: frozenset(Command),
}


class Actor(Model):
    """A person and the role they hold."""

    name: str
    role: Role


def require(actor: Actor, command: Command) -> None:
    """Let the command pass if the actor's role includes it.

    Raises:
        PermissionDenied: it does not.
    """
    if command in COMMANDS_OF[actor.role]:
        return
    able = ", ".join(role for role in Role if command in COMMANDS_OF[role])
    raise PermissionDenied(
        f"{actor.name} is {actor.role} and may not {command}.",
        hint=f"Ask somebody who is: {able}. Roles are set under `roles` in the configuration.",
    )
