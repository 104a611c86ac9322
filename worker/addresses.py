"""Spec 10.1, addresses - decides where the Temporal Service of an installation is found.

Rules:
- Order: the settings (`temporal.address`), then what `up` wrote down in the home, then Temporal's own default.

Not here: starting a server (`worker/temporal_server.py`).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from config.home import Home
from config.settings import Settings
from domain.base import Model
from domain.errors import TemporalUnreachable
from plugins.core.packages import write_whole

DEFAULT_ADDRESS = "127.0.0.1:7233"


class StackAddresses(Model):
    """Where the parts that `up` started are reached."""

    temporal: str
    ui: str = ""
    gateway: str = ""
    metrics: str = ""


def stack_file(home: Home) -> Path:
    """Return where the addresses are written down."""
    return home.root / "stack.json"


def write_addresses(home: Home, addresses: StackAddresses) -> None:
    """Write the addresses down, whole or not at all."""
    write_whole(stack_file(home), addresses.model_dump_json(indent=2).encode())


def read_addresses(home: Home) -> StackAddresses | None:
    """Return the addresses `up` wrote down, if it did."""
    try:
        return StackAddresses.model_validate_json(stack_file(home).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def temporal_address(home: Home, settings: Settings) -> str:
    """Return the address of the Temporal Service."""
    if settings.temporal.address:
        return settings.temporal.address
    written = read_addresses(home)
    return written.temporal if written else DEFAULT_ADDRESS


async def connect(home: Home, settings: Settings) -> Client:
    """Return a client of the installation's Temporal Service.

    Raises:
        TemporalUnreachable: nothing answers there.
    """
    address = temporal_address(home, settings)
    try:
        return await Client.connect(
            address, namespace=settings.temporal.namespace, data_converter=pydantic_data_converter
        )
    except RuntimeError as failure:
        raise TemporalUnreachable(
            f"No Temporal Service answers at {address}.",
            hint="Start one with `upgrade-loop up`, or name yours under `temporal.address` in the configuration.",
        ) from failure
