"""Spec 10.1, commands that run processes - decides what `up`, `worker` and `gateway` run.

Rules:
- `up` prints one JSON line when everything is ready, and nothing else on stdout.
- `gateway` starts also while the database is down, and serves the last table.

Not here: the processes themselves (`worker/stack.py`, `worker/main.py`, `gateway/main.py`).
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from worker.agents import adopt
from worker.commands.session import SESSION
from worker.processes import log_to_stderr, stop_event

Port = Annotated[int, typer.Option(min=0, max=65_535, help="0 means any free port.")]
AgentFolder = Annotated[
    Path | None,
    typer.Option("--agent", help="Folder of the agent to look after; remembered in the home."),
]


def up(
    agent: AgentFolder = None,
    temporal: Annotated[str, typer.Option(help="Address of a Temporal Service; embedded when not given.")] = "",
    gateway_port: Port = 0,
    temporal_port: Port = 0,
    ui_port: Port = 0,
) -> None:
    """Run everything on this machine until Ctrl+C: Temporal, the worker and the gateway."""
    from worker.stack import Stack, StackOptions

    options = StackOptions(temporal=temporal, gateway_port=gateway_port, temporal_port=temporal_port, ui_port=ui_port)
    stack = Stack(SESSION.home, adopt(SESSION.home, agent, datetime.now(UTC)), options)

    async def work() -> None:
        stopping = stop_event()
        try:
            await stack.start()
            sys.stdout.write(json.dumps({"ready": True, **stack.addresses.model_dump()}) + "\n")
            sys.stdout.flush()
            await stopping.wait()
        finally:
            await stack.stop()

    SESSION.run(work())


def worker(agent: AgentFolder = None) -> None:
    """Run the worker alone: workflows, and the activities of this machine."""
    from worker.main import run_worker

    log_to_stderr()
    settings = adopt(SESSION.home, agent, datetime.now(UTC))
    SESSION.run(run_worker(SESSION.home, settings))


def gateway(agent: AgentFolder = None) -> None:
    """Run the gateway alone: the door that the agent talks to."""
    from gateway.main import run_gateway
    from worker.triggers import outside_of

    log_to_stderr()
    settings = adopt(SESSION.home, agent, datetime.now(UTC), needs_store=False)
    SESSION.run(run_gateway(SESSION.home, settings, outside=outside_of(SESSION.home, settings)))
