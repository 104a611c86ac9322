"""A whole gateway product from the package index, ContextForge, before a FastMCP server: what people run today.

Rules:
- It is measured where `CONTEXTFORGE_PYTHON` names the Python of an environment that has `mcp-contextforge-gateway`; its
  dependencies are not ours, so it cannot live in our environment.
- Its settings are the defaults, but for what one machine without a person needs: SQLite, no admin pages, no rate limit
  (its own would lock the load out for a quarter of an hour), and leave to reach the loopback.
- It is called by its own quickest way, plain JSON-RPC at `/rpc`.

Not here: the other ways (`fronts.py`), the load (`load.py`).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx

from benchmarks.fronts import START_SECONDS, Front, free_port, reached, running
from benchmarks.subject import CAPABILITY, METHOD
from benchmarks.wire import WrongAnswer, plain_request_to

CONTEXTFORGE: Final = "ContextForge"
VARIABLE: Final = "CONTEXTFORGE_PYTHON"
_ADMIN: Final = "admin@example.org"
_TOOL: Final = f"measured-{CAPABILITY}-{METHOD}"


def named_python() -> str | None:
    """Return the Python that has ContextForge, if there is one."""
    return os.environ.get(VARIABLE)


@asynccontextmanager
async def contextforge() -> AsyncIterator[Front]:
    """Open ContextForge before `peers/fastmcp_server.py`."""
    python = str(named_python())
    upstream, port = free_port(), free_port()
    server = [sys.executable, "-m", "benchmarks.peers.fastmcp_server", str(upstream)]
    with TemporaryDirectory() as folder:
        settings = _settings(Path(folder))
        product = [python, "-m", "uvicorn", "mcpgateway.main:app", "--port", str(port), "--log-level", "error"]
        async with running(server, {}) as behind, running(product, settings, Path(folder)) as process:
            token = await asyncio.to_thread(_token, python, settings, folder)
            base = f"http://127.0.0.1:{port}"
            await _register(base, f"http://127.0.0.1:{upstream}/mcp", token)
            request = plain_request_to(f"{base}/rpc", _TOOL, token)
            front = Front.over(f"{base}/rpc", process.pid, lambda _: request)
            front.others.append(behind.pid)
            async with reached(front, process):
                yield front


def _settings(folder: Path) -> dict[str, str]:
    secret = secrets.token_hex(32)
    return {
        "PYTHONPATH": "",
        "DATABASE_URL": f"sqlite:///{(folder / 'contextforge.db').as_posix()}",
        "JWT_SECRET_KEY": secret,
        "AUTH_ENCRYPTION_SECRET": secret[::-1],
        "BASIC_AUTH_PASSWORD": secret,
        "PLATFORM_ADMIN_EMAIL": _ADMIN,
        "PLATFORM_ADMIN_PASSWORD": f"Aa1-{secret}",
        "DEFAULT_USER_PASSWORD": f"Aa1-{secret}",
        "MCPGATEWAY_UI_ENABLED": "false",
        "CACHE_TYPE": "memory",
        "LOG_LEVEL": "ERROR",
        "RATE_LIMITING_ENABLED": "false",
        "SSRF_ALLOW_LOCALHOST": "true",
        "SSRF_ALLOW_PRIVATE_NETWORKS": "true",
    }


def _token(python: str, settings: dict[str, str], folder: str) -> str:
    made = subprocess.run(
        [python, "-m", "mcpgateway.utils.create_jwt_token", "--username", _ADMIN, "--admin"],
        env={**os.environ, **settings},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return made.stdout.split()[-1]


async def _register(base: str, upstream: str, token: str) -> None:
    """Make the server behind known, once both answer."""
    order = {"name": "measured", "url": upstream, "transport": "STREAMABLEHTTP"}
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    async with httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        while not await _accepted(client, order):
            if asyncio.get_running_loop().time() > deadline:
                raise WrongAnswer("ContextForge does not take the server")
            await asyncio.sleep(0.5)


async def _accepted(client: httpx.AsyncClient, order: dict[str, str]) -> bool:
    try:
        return (await client.post("/gateways", json=order)).is_success
    except httpx.TransportError:
        return False
