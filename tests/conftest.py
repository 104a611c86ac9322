"""What holds for every test, and the Temporal servers that tests share.

How long a generated example may take is the machine's affair, not the test's. One server of each kind serves the
whole run; it is started when the first test needs it.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import settings

if TYPE_CHECKING:
    from temporalio.testing import WorkflowEnvironment

    from tests.workflows.world import World

settings.register_profile("house", deadline=None)
settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slow tests first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def _log_to_nowhere_after_a_test() -> Iterator[None]:
    """Take back the logging that a command set up: its stream is the test's and closes with it."""
    root = logging.getLogger()
    level = root.level
    yield
    for handler in [one for one in root.handlers if type(one) is logging.StreamHandler]:
        root.removeHandler(handler)
    root.setLevel(level)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A real Temporal server that skips time."""
    from tests.workflows.recording import skipping_environment

    async with await skipping_environment() as environment:
        yield environment


@pytest_asyncio.fixture(loop_scope="session")
async def world(skipping: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[World]:
    """A world of one test, in which timers are skipped."""
    from tests.workflows.world import made_world

    async with made_world(skipping.client, tmp_path) as made:
        yield made
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ticking() -> AsyncIterator[WorkflowEnvironment]:
    """A real Temporal server on which time passes as it does, for tests that answer while somebody waits."""
    from temporalio.contrib.pydantic import pydantic_data_converter
    from temporalio.testing import WorkflowEnvironment

    from worker.bootstrap import add_search_attributes
    from worker.temporal_server import find_temporal

    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(find_temporal()), data_converter=pydantic_data_converter
    )
    async with environment:
        await add_search_attributes(environment.client)
        yield environment


@pytest_asyncio.fixture(loop_scope="session")
async def still(ticking: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[World]:
    """A world of one test, in which time passes as it does."""
    from tests.workflows.world import made_world

    async with made_world(ticking.client, tmp_path) as made:
        yield made
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest_asyncio.fixture(loop_scope="session")
async def place(tmp_path: Path) -> AsyncIterator[World]:
    """A world of one test without a Temporal Service, for activities that are run alone."""
    from tests.workflows.world import made_place, nowhere

    async with made_place(await nowhere(), tmp_path) as made:
        yield made
    shutil.rmtree(tmp_path, ignore_errors=True)
