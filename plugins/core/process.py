"""Spec 3.4, plugin instance - decides when a plugin process is ready and what its answers mean.

Rules:
- An instance is ready when it speaks the protocol and offers the tools of its contract, schema for schema; one that
  tells later that its tools have changed has to prove it again before it is called.
- A method's own error is `tool_error`; an answer outside the protocol is `invalid_result`; the end of the process
  during a call is `plugin_crash`; silence is `timeout`, and the plugin is told to give the call up.
- A lifecycle hook may take as long as its contract says.
- Stopping closes the input, waits, then ends the whole process group (on Windows: the job).

Not here: restarting, choosing between instances (`lifecycle.py`); checking arguments and results (`contracts.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import psutil

from domain.base import JsonObject
from domain.calls import ErrorKind
from domain.contracts import PluginContract, WireProtocol, tool_name, wire_name
from plugins.core.channel import Channel
from plugins.core.dialects import content_of, differences, greet, offered_tools, result_of
from plugins.core.failures import PluginFailure
from plugins.core.host_calls import HostCalls, Service
from plugins.core.jobs import SPAWN_OPTIONS, hold, job_limits
from plugins.core.rounds import FIRST_ROUND, Turn
from plugins.core.sandbox import Jail, Launch

START_SECONDS = 30.0
"""Generous, because a loaded machine is slow and a late instance is better than none."""
KILL_SECONDS = 5.0
PROVE_SECONDS = 10.0


class PluginProcess:
    """One running instance of a plugin.

    Attributes:
        pid: the process that was started.
        isolation: the tier it runs in.
    """

    def __init__(self, contract: PluginContract, channel: Channel, pid: int, launch: Launch) -> None:
        self._contract = contract
        self._channel = channel
        self._workspace = launch.cwd
        self._protocol = WireProtocol.MODERN
        self._names = {
            (interface.name, method.name): wire_name(interface.name, method)
            for interface in contract.provided_interfaces
            for method in interface.methods
        }
        self.pid = pid
        self.isolation = launch.isolation
        self._wrapped = launch.wrapped

    @classmethod
    async def start(
        cls,
        folder: Path,
        contract: PluginContract,
        *,
        jail: Jail,
        work: Path | None = None,
        services: Mapping[str, Service] | None = None,
    ) -> PluginProcess:
        """Start an instance and return it when it is ready.

        Args:
            folder: the package.
            contract: what the package promises.
            jail: the walls.
            work: where the instance's private folder is made; the system's temporary folder when not given.
            services: what it may ask of the host; nothing when not given.

        Raises:
            PluginFailure: it did not start, or does not offer what its contract says; `details` has its stderr.
        """
        workspace = _private_folder(contract, work)
        try:
            launch = await asyncio.to_thread(jail.launch, folder.resolve(), contract, workspace)
            process = await cls._spawn(launch, contract, HostCalls(services or {}))
        except BaseException:
            shutil.rmtree(workspace, ignore_errors=True)
            raise
        try:
            await process._prove_ready(START_SECONDS)
        except PluginFailure as failure:
            await process.stop(0)
            raise PluginFailure(failure.kind, failure.message, details={"stderr": process.stderr_tail}) from None
        except BaseException:
            await process.stop(0)
            raise
        return process

    @classmethod
    async def survey(
        cls, folder: Path, contract: PluginContract, *, jail: Jail, timeout: float = START_SECONDS
    ) -> tuple[WireProtocol, list[JsonObject]]:
        """Ask a foreign server what it speaks and which tools it offers, whatever its contract says of them.

        Raises:
            PluginFailure: it does not start or does not answer; `details` has its stderr.
        """
        workspace = _private_folder(contract, None)
        try:
            launch = await asyncio.to_thread(jail.launch, folder.resolve(), contract, workspace)
            process = await cls._spawn(launch, contract)
        except BaseException:
            shutil.rmtree(workspace, ignore_errors=True)
            raise
        try:
            protocol = await greet(process._channel, contract, timeout)
            return protocol, await offered_tools(process._channel, timeout)
        except PluginFailure as failure:
            raise PluginFailure(failure.kind, failure.message, details={"stderr": process.stderr_tail}) from None
        finally:
            await process.stop(1.0)

    @classmethod
    async def _spawn(
        cls, launch: Launch, contract: PluginContract, host_calls: HostCalls | None = None
    ) -> PluginProcess:
        subject = f"{contract.name}@{contract.version}"
        try:
            transport, channel = await asyncio.get_running_loop().subprocess_exec(
                lambda: Channel(subject, host_calls),
                *launch.argv,
                env=dict(launch.environment),
                cwd=launch.cwd,
                **SPAWN_OPTIONS,
            )
        except OSError as error:
            raise PluginFailure(ErrorKind.UNAVAILABLE, f"{subject} could not be started: {error}.") from error
        pid = transport.get_pid()
        try:
            channel.kill = hold(pid, job_limits(contract, wrapped=launch.wrapped)).kill
        except OSError as error:
            transport.close()
            raise PluginFailure(ErrorKind.UNAVAILABLE, f"{subject} could not be bounded: {error}.") from error
        return cls(contract, channel, pid, launch)

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

    async def call(
        self,
        capability: str,
        method: str,
        arguments: JsonObject,
        timeout: float,
        turn: Turn = FIRST_ROUND,
    ) -> JsonObject:
        """Call a method.

        Args:
            capability: the interface.
            method: one of its methods.
            arguments: already checked against the input schema.
            timeout: seconds to wait.
            turn: what goes along with them.

        Raises:
            PluginFailure: with the kind that says what went wrong.
            Asked: the method wants to know something of the person first.
        """
        if self._channel.tools_changed:
            await self._prove_again()
        name = self._names.get((capability, method)) or tool_name(capability, method)
        params: JsonObject = {"name": name, "arguments": arguments, **turn.more}
        answer = await self._channel.request("tools/call", params, timeout, turn.progress)
        return content_of(self._channel, self._contract, name, answer)

    async def hook(self, name: str) -> None:
        """Run a lifecycle hook, if the contract names one.

        Raises:
            PluginFailure: it failed, or took too long.
        """
        hooks = self._contract.lifecycle_hooks
        if name in hooks.named:
            answer = await self._channel.request("upgrade_loop/hook", {"name": name}, hooks.time_limit_seconds)
            result_of(self._channel, answer)

    async def ping(self, timeout: float = 5.0) -> None:
        """Ask for a sign of life, which comes even while a method runs.

        Raises:
            PluginFailure: none came.
        """
        foreign = bool(self._contract.command) and self._protocol is WireProtocol.MODERN
        method = "server/discover" if foreign else "ping"  # the newer generation knows no ping; our runtime does
        result_of(self._channel, await self._channel.request(method, {}, timeout))

    async def prove_free(self, timeout: float) -> None:
        """Ask for something that is answered only when no method holds the threads that methods run on.

        Raises:
            PluginFailure: a method holds one, or the process is gone.
        """
        result_of(self._channel, await self._channel.request("tools/list", {}, timeout))

    def rss_bytes(self) -> int:
        """Return the resident memory, 0 when the process is gone."""
        with contextlib.suppress(psutil.Error, IndexError):
            return int(self._inmost.memory_info().rss) if self.alive else 0
        return 0

    def cpu_seconds(self) -> float:
        """Return the processor time used so far, 0 when the process is gone."""
        with contextlib.suppress(psutil.Error, IndexError):
            times = self._inmost.cpu_times()
            return float(times.user + times.system) if self.alive else 0.0
        return 0.0

    @cached_property
    def _inmost(self) -> psutil.Process:
        """The process that runs the plugin's code, once it answers: a sandbox's walls are a process around it."""
        outer = psutil.Process(self.pid)
        within = outer.children() if self._wrapped else []
        return within[0] if within else outer

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
        self._protocol = await greet(self._channel, self._contract, timeout)
        if told := differences(self._contract, await offered_tools(self._channel, deadline - clock())):
            text = f"{self._channel.subject} does not offer what its contract says: {'; '.join(told)}."
            raise PluginFailure(ErrorKind.UNAVAILABLE, text)

    async def _prove_again(self) -> None:
        """Let a process that says its tools are others now show them; it ends if they are."""
        self._channel.tools_changed = False
        told = differences(self._contract, await offered_tools(self._channel, PROVE_SECONDS))
        if told:
            self._channel.break_off(f"no longer offers what its contract says ({'; '.join(told)})")


def _private_folder(contract: PluginContract, work: Path | None) -> Path:
    try:
        if work is not None:
            work.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{contract.name}-", dir=work))
    except OSError as error:
        text = f"{contract.name}@{contract.version} could not be given a folder of its own: {error}."
        raise PluginFailure(ErrorKind.UNAVAILABLE, text) from error
