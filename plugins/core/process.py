"""Spec 3.4, plugin instance - decides when a plugin process is ready and what its answers mean.

Rules:
- An instance is ready when it speaks the protocol and offers exactly the tools of its contract, schema for schema.
- A method's own error is `tool_error`; an answer outside the protocol is `invalid_result`; the end of the process
  during a call is `plugin_crash`; silence is `timeout`, and the plugin is told to give the call up.
- Stopping closes the input, waits, then ends the whole process group (on Windows: the job).

Not here: restarting, choosing between instances (`lifecycle.py`); checking arguments and results (`contracts.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import psutil
from pydantic import JsonValue

from domain.base import JsonObject
from domain.calls import ErrorKind
from domain.contracts import PluginContract, tool_name
from plugins.core.channel import PROTOCOL_VERSION, Channel
from plugins.core.failures import PluginFailure
from plugins.core.jobs import SPAWN_OPTIONS, hold
from plugins.core.sandbox import Jail, PlainJail, memory_limit_mb

START_SECONDS = 30.0
"""Generous, because a loaded machine is slow and a late instance is better than none."""
KILL_SECONDS = 5.0
INVALID_PARAMS = -32602
WORDS_LIMIT = 2_000
"""Characters of a plugin's own words that are told on; they end up in the ledger."""


class PluginProcess:
    """One running instance of a plugin."""

    def __init__(self, contract: PluginContract, channel: Channel, pid: int, workspace: Path) -> None:
        self._contract = contract
        self._channel = channel
        self._workspace = workspace
        self.pid = pid

    @classmethod
    async def start(
        cls,
        folder: Path,
        contract: PluginContract,
        *,
        jail: Jail | None = None,
        work: Path | None = None,
        timeout: float = START_SECONDS,
    ) -> PluginProcess:
        """Start an instance and return it when it is ready.

        Args:
            folder: the package.
            contract: what the package promises.
            jail: the walls; plain ones when not given.
            work: where the instance's private folder is made; the system's temporary folder when not given.
            timeout: seconds the instance may take to be ready.

        Raises:
            PluginFailure: it did not start, or does not offer what its contract says; `details` has its stderr.
        """
        workspace = _private_folder(contract, work)
        try:
            process = await cls._spawn(folder.resolve(), contract, jail or PlainJail(), workspace)
        except BaseException:
            shutil.rmtree(workspace, ignore_errors=True)
            raise
        try:
            await process._prove_ready(timeout)
        except PluginFailure as failure:
            await process.stop(0)
            raise PluginFailure(failure.kind, failure.message, details={"stderr": process.stderr_tail}) from None
        except BaseException:
            await process.stop(0)
            raise
        return process

    @classmethod
    async def _spawn(cls, folder: Path, contract: PluginContract, jail: Jail, workspace: Path) -> PluginProcess:
        launch = jail.launch(folder, contract, workspace)
        subject = f"{contract.name}@{contract.version}"
        try:
            transport, channel = await asyncio.get_running_loop().subprocess_exec(
                lambda: Channel(subject),
                *launch.argv,
                env=dict(launch.environment),
                cwd=launch.cwd,
                close_fds=True,
                **SPAWN_OPTIONS,
            )
        except OSError as error:
            raise PluginFailure(ErrorKind.UNAVAILABLE, f"{subject} could not be started: {error}.") from error
        pid = transport.get_pid()
        channel.kill = hold(pid, memory_limit_mb(contract)).kill
        return cls(contract, channel, pid, workspace)

    @property
    def in_flight(self) -> int:
        """Requests that wait for an answer."""
        return self._channel.in_flight

    @property
    def alive(self) -> bool:
        """Whether the process runs and can be asked."""
        return self._channel.alive

    @property
    def strays(self) -> int:
        """Messages of the plugin that nobody waited for, late answers included."""
        return self._channel.strays

    @property
    def stderr_tail(self) -> str:
        """The last of what the plugin printed."""
        return self._channel.stderr_tail

    async def call(self, capability: str, method: str, arguments: JsonObject, timeout: float) -> JsonObject:
        """Call a method.

        Args:
            capability: the interface.
            method: its method.
            arguments: already checked against the input schema.
            timeout: seconds to wait.

        Raises:
            PluginFailure: with the kind that says what went wrong.
        """
        name = tool_name(capability, method)
        answer = await self._channel.request("tools/call", {"name": name, "arguments": arguments}, timeout)
        result = self._result(answer)
        if result.get("isError") is True:
            raise PluginFailure(ErrorKind.TOOL_ERROR, _text_of(result.get("content")))
        content = result.get("structuredContent")
        if not isinstance(content, dict):
            raise PluginFailure(ErrorKind.INVALID_RESULT, f"{name} gave no structured content.")
        return content

    async def ping(self, timeout: float = 5.0) -> None:
        """Ask for a sign of life, which comes even while a method runs.

        Raises:
            PluginFailure: none came.
        """
        self._result(await self._channel.request("ping", {}, timeout))

    async def prove_free(self, timeout: float) -> None:
        """Ask for something that is answered only when no method holds the threads that methods run on.

        Raises:
            PluginFailure: a method holds one, or the process is gone.
        """
        self._result(await self._channel.request("tools/list", {}, timeout))

    def rss_bytes(self) -> int:
        """Return the resident memory, 0 when the process is gone."""
        with contextlib.suppress(psutil.Error):
            return int(psutil.Process(self.pid).memory_info().rss) if self.alive else 0
        return 0

    def cpu_seconds(self) -> float:
        """Return the processor time used so far, 0 when the process is gone."""
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(self.pid).cpu_times()
            return float(times.user + times.system) if self.alive else 0.0
        return 0.0

    def kill(self) -> None:
        """End the process and all it started, now; open calls fail as `plugin_crash`."""
        if not self._channel.ended.done():  # later its number may be another's
            self._channel.kill()

    async def ended(self) -> None:
        """Wait until the process is gone."""
        await asyncio.shield(self._channel.ended)

    async def stop(self, grace: float) -> None:
        """Stop the instance and remove its private folder; nothing happens when it is gone already.

        Args:
            grace: seconds it may take after the end of its input before it is ended by force.
        """
        self._channel.close_input()
        if not await self._gone_within(grace):
            self.kill()
            await self._gone_within(KILL_SECONDS)
        await asyncio.to_thread(shutil.rmtree, self._workspace, ignore_errors=True)

    async def _gone_within(self, seconds: float) -> bool:
        done, _ = await asyncio.wait([self._channel.ended], timeout=seconds)
        return bool(done)

    async def _prove_ready(self, timeout: float) -> None:
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout
        discovered = self._result(await self._channel.request("server/discover", {}, timeout))
        supported = discovered.get("supportedVersions")
        if not isinstance(supported, list) or PROTOCOL_VERSION not in supported:
            raise PluginFailure(ErrorKind.UNAVAILABLE, f"{self._channel.subject} does not speak {PROTOCOL_VERSION}.")
        offered = self._result(await self._channel.request("tools/list", {}, deadline - clock())).get("tools")
        if differences := _differences(self._contract, offered):
            text = f"{self._channel.subject} does not offer what its contract says: {'; '.join(differences)}."
            raise PluginFailure(ErrorKind.UNAVAILABLE, text)

    def _result(self, answer: JsonObject) -> JsonObject:
        result = answer.get("result")
        if isinstance(result, dict):
            return result
        error = answer.get("error")
        code, message = (error.get("code"), error.get("message")) if isinstance(error, dict) else (None, "no result")
        kind = ErrorKind.UNKNOWN_TOOL if code == INVALID_PARAMS else ErrorKind.INVALID_RESULT
        raise PluginFailure(kind, f"{self._channel.subject}: {str(message)[:WORDS_LIMIT]}.")


def _private_folder(contract: PluginContract, work: Path | None) -> Path:
    try:
        if work is not None:
            work.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{contract.name}-", dir=work))
    except OSError as error:
        text = f"{contract.name}@{contract.version} could not be given a folder of its own: {error}."
        raise PluginFailure(ErrorKind.UNAVAILABLE, text) from error


def _text_of(content: JsonValue) -> str:
    items = content if isinstance(content, list) else []
    texts = [item.get("text") for item in items if isinstance(item, dict)]
    told = " ".join(text for text in texts if isinstance(text, str))
    return told[:WORDS_LIMIT] or "the method failed without a word"


def _differences(contract: PluginContract, offered: JsonValue) -> list[str]:
    """Say in which tools the offer and the contract differ, empty when they agree."""
    promised = {
        tool_name(interface.name, method.name): _digest(method.input_schema, method.output_schema)
        for interface in contract.provided_interfaces
        for method in interface.methods
    }
    tools = [tool for tool in offered if isinstance(tool, dict)] if isinstance(offered, list) else []
    found = {str(tool.get("name")): _digest(tool.get("inputSchema"), tool.get("outputSchema")) for tool in tools}
    missing = [f"{name} is missing" for name in promised.keys() - found.keys()]
    extra = [f"{name} is not in the contract" for name in found.keys() - promised.keys()]
    changed = [f"{name} has other schemas" for name in promised.keys() & found.keys() if promised[name] != found[name]]
    return sorted(missing + extra + changed)


def _digest(*schemas: JsonValue) -> str:
    return hashlib.sha256(json.dumps(schemas, sort_keys=True).encode()).hexdigest()
