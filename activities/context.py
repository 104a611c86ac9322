"""Spec 9.1, the hands' tools - decides what every activity may reach.

Rules:
- Built once by the worker and handed to every activity class; nothing is global.
- The gateway is looked up anew for each use, since it may have been restarted on another port.

Not here: who builds it (`worker/`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Executor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from temporalio import activity
from temporalio.client import Client

from config.home import Home
from config.settings import Settings
from domain.contracts import PluginPackage
from domain.rollouts import RolloutConfiguration
from gateway.admin_client import AdminClient
from plugins.core.folders import PluginFolders
from plugins.core.packages import PackageStore
from plugins.core.registry import PluginRegistry
from plugins.core.sandbox import Jail
from store.blobs import BlobStore
from store.database import Store

LOOP = "upgrade-loop"
"""Who did it, in the audit log, when no person did."""

BEAT_SECONDS = 10.0


@dataclass(frozen=True)
class Context:
    """What every activity may reach.

    Attributes:
        rollouts: the rollout plans by name.
        registry: where remedies come from; None when the agent has no registry.
        processor: where work that would keep the event loop busy is sent.
        client: the Temporal client of the worker.
        jail: the walls around plugins that are started for a measurement.
    """

    home: Home
    settings: Settings
    rollouts: Mapping[str, RolloutConfiguration]
    store: Store
    packages: PackageStore
    folders: PluginFolders
    registry: PluginRegistry | None
    blobs: BlobStore
    processor: Executor
    client: Client
    jail: Jail

    def gateway(self) -> AdminClient:
        """Return a client of the gateway's admin port as it runs now."""
        return AdminClient.of(self.home)

    def market(self) -> list[PluginPackage]:
        """Return every package the registry offers."""
        return self.registry.entries() if self.registry is not None else []


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Tell Temporal, while the block runs, that the activity is alive."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(BEAT_SECONDS)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
