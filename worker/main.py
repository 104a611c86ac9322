"""Spec 9.1, the worker process - decides what runs where: start reading here.

Rules:
- One process polls the loop's queue and the host's queue, on one connection to Temporal.
- It waits for Temporal to answer, prepares the service once, then works until it is asked to stop.
- Heavy work goes to child processes; the event loop stays free for workflows.

Not here: what is registered (`worker/wiring.py`).
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

from temporalio.client import Client

from activities.context import Context
from config.home import Home
from config.rollouts import load_rollouts
from config.settings import Settings
from domain.errors import TemporalUnreachable
from plugins.core.folders import PluginFolders
from plugins.core.isolation import chosen_jail
from plugins.core.packages import PackageStore
from plugins.core.registry import PluginRegistry
from store.blobs import BlobStore
from store.database import open_store
from worker.addresses import connect
from worker.bootstrap import prepare
from worker.processes import stop_event
from worker.wiring import host_worker, loop_worker

logger = logging.getLogger("upgrade_loop.worker")

THREADS = 16
CONNECT_PATIENCE_SECONDS = 60.0
CONNECT_PAUSE_SECONDS = 1.0


async def run_worker(home: Home, settings: Settings) -> None:
    """Run the worker until the process is asked to stop.

    Raises:
        TemporalUnreachable: no Temporal Service answered in time.
        StoreUnusable: the database cannot be used.
    """
    stopping = stop_event()
    client = await _connected(home, settings)
    await prepare(client, settings)
    with (
        built_context(home, settings, client) as context,
        ThreadPoolExecutor(max_workers=THREADS) as threads,
    ):
        async with loop_worker(client, context, threads), host_worker(client, context, threads):
            logger.info("working on %s and %s", settings.temporal.task_queue, settings.temporal.host_queue)
            await stopping.wait()


@contextmanager
def built_context(home: Home, settings: Settings, client: Client) -> Iterator[Context]:
    """Open what every activity may reach, and close it afterwards."""
    home.create()
    store = open_store(settings.store.url or home.database_url)
    spawn = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as processor:
            yield Context(
                home=home,
                settings=settings,
                rollouts=load_rollouts(home),
                store=store,
                packages=PackageStore(home.packages),
                folders=PluginFolders(home.plugins),
                registry=PluginRegistry(settings.agent.registry) if settings.agent.registry else None,
                blobs=BlobStore(home.snapshots),
                processor=processor,
                client=client,
                jail=chosen_jail(home, settings.security),
            )
    finally:
        store.close()


async def _connected(home: Home, settings: Settings) -> Client:
    deadline = asyncio.get_running_loop().time() + CONNECT_PATIENCE_SECONDS
    while True:
        try:
            return await connect(home, settings)
        except TemporalUnreachable:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(CONNECT_PAUSE_SECONDS)
