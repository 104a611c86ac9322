"""A package store and a host that put everything down at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from domain.routing import PluginVersion
from plugins.core.host import PluginHost
from plugins.core.packages import PackageStore
from plugins.core.sandbox import PlainJail
from plugins.core.wasm.jail import WasmJail
from tests.children import own_children
from tests.plugins.asking import Asking
from tests.plugins.cells import shared_jail
from tests.plugins.factories import ADD_CODE, add_package, write_package
from tests.plugins.web import Web, web_server

Adder = Callable[..., PluginVersion]


@pytest.fixture(autouse=True)
async def nothing_is_left_running() -> AsyncIterator[None]:
    """See that a test leaves no process behind."""
    before = set(own_children())
    yield
    for _ in range(200):
        left = set(own_children()) - before
        if not left:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"still running: {left}")


@pytest.fixture
def packages(tmp_path: Path) -> PackageStore:
    return PackageStore(tmp_path / "packages")


@pytest.fixture
async def host(packages: PackageStore) -> AsyncIterator[PluginHost]:
    running = PluginHost(packages, jail=PlainJail())
    yield running
    await running.close()


@pytest.fixture
def add(packages: PackageStore, tmp_path: Path) -> Adder:
    """Write a package from a manifest and its code, keep it, and return its version."""
    written = iter(range(1_000))

    def write_and_add(manifest: dict[str, Any] | None = None, code: str = ADD_CODE) -> PluginVersion:
        return add_package(packages, write_package(tmp_path / f"source-{next(written)}", manifest, code))

    return write_and_add


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with web_server() as running:
        yield running


@pytest.fixture
async def asking(packages: PackageStore, add: Adder) -> AsyncIterator[Asking]:
    made = Asking(packages, add)
    yield made
    if made.host is not None:
        await made.host.close()


@pytest.fixture(scope="session")
def wasm_jail(request: pytest.FixtureRequest) -> WasmJail:
    assert request.config.cache is not None
    return shared_jail(request.config.cache.mkdir("wasm"))
