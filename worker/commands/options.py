"""Appendix B, shared options - decides how options that several commands take are spelled.

Not here: the commands.
"""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_ACTOR = "owner"

Actor = Annotated[
    str, typer.Option("--as", help="Who gives the order; must hold a role under `roles` in the settings.")
]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit log.")]
UpgradeId = Annotated[str, typer.Argument(help="Id of an upgrade, as `upgrades history` lists it.")]
