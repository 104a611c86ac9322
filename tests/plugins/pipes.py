"""A plugin's process spoken to over its pipes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from plugins.core.answers import LINE_LIMIT
from plugins.core.sandbox import RUNTIME
from tests.plugins.factories import a_manifest, a_tool, numbers_plugin, write_package


class Pipe:
    """A runtime as a plain child process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.process, self.requests, self.answers = process, process.stdin, process.stdout
        self.errors = process.stderr

    def send(self, line: bytes) -> None:
        self.requests.write(line + b"\n")

    def request(self, identifier: Any, method: str, **params: Any) -> None:
        self.send(json.dumps({"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}).encode())

    def tool(self, identifier: Any, method: str, **arguments: Any) -> None:
        self.request(identifier, "tools/call", name=f"numbers__{method}", arguments=arguments)

    async def answer(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            line = await self.answers.readline()
        assert line, (await self.errors.read()).decode()
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    async def result(self) -> dict[str, Any]:
        result = (await self.answer())["result"]
        assert isinstance(result, dict)
        return result


def command(folder: Path) -> list[str]:
    return [sys.executable, "-I", "-S", str(RUNTIME), str(folder)]


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Pipe]:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(*command(folder), **pipes, limit=2 * LINE_LIMIT)
    pipe = Pipe(process)
    try:
        yield pipe
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def a_plugin(folder: Path, body: str, *tools: str, head: str = "", **more: Any) -> Path:
    manifest = a_manifest(*(a_tool(name) for name in tools), **more)
    return write_package(folder, manifest, numbers_plugin(body, head))
