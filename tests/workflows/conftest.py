from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from tests.workflows.recording import skipping_environment
from tests.workflows.world import World, made_world
from worker.bootstrap import add_search_attributes
from worker.temporal_server import find_temporal


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A real Temporal server that skips time."""
    environment = await skipping_environment()
    async with environment:
        yield environment


@pytest_asyncio.fixture(loop_scope="session")
async def world(skipping: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[World]:
    async with made_world(skipping.client, tmp_path) as made:
        yield made
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ticking() -> AsyncIterator[WorkflowEnvironment]:
    """A real Temporal server on which time passes as it does, for tests that answer while somebody waits."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(find_temporal()), data_converter=pydantic_data_converter
    )
    async with environment:
        await add_search_attributes(environment.client)
        yield environment


@pytest_asyncio.fixture(loop_scope="session")
async def still(ticking: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[World]:
    async with made_world(ticking.client, tmp_path) as made:
        yield made
