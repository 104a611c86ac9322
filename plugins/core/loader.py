"""Spec 3.4, bringing a version up - decides when a new instance may take calls.

Rules:
- Ready means: the process offers its contract's tools, its warm-up hook has run, its golden calls of methods without
  side effects give the stated results, and its health check passes. Callers never meet an instance before that.
- Few processes start at a time, so that a start-up storm does not make every one of them late.
- Before an instance is started again its package is read again: what was changed under a running version never runs.

Not here: when an instance is started (`lifecycle.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.base import JsonObject
from domain.calls import ErrorKind
from domain.contracts import Example, PluginContract, PluginPackage
from plugins.core.contracts import MethodChecks, checks_of
from plugins.core.environments import Environments
from plugins.core.failures import PluginFailure
from plugins.core.network import Network
from plugins.core.packages import PackageStore
from plugins.core.process import PluginProcess
from plugins.core.sandbox import Jail

STARTS_AT_A_TIME = 2
WARM_UP_SECONDS = 30.0
"""Least time a golden call may take: the first call of a method is the slowest."""


@dataclass(frozen=True)
class Program:
    """A package that can be started: where it lies, what it promises, its compiled schemas."""

    folder: Path
    package: PluginPackage
    checks: Mapping[tuple[str, str], MethodChecks]

    @property
    def contract(self) -> PluginContract:
        """What it promises."""
        return self.package.contract

    @property
    def warm_up_calls(self) -> int:
        """Golden calls made on every new instance."""
        return sum(len(check.method.examples) for check in self.checks.values() if check.method.repeatable)


class Loader:
    """Starts instances.

    Args:
        packages: where the packages lie; instances have their private folders beside them.
        jail: the walls around them.
        network: makes their HTTP requests.
    """

    def __init__(self, packages: PackageStore, jail: Jail, network: Network | None = None) -> None:
        self._packages = packages
        self._environments = Environments(packages)
        self._jail = jail
        self._network = network or Network()
        self._starting = asyncio.Semaphore(STARTS_AT_A_TIME)

    async def program(self, package: PluginPackage) -> Program:
        """Get a kept package ready to run.

        Raises:
            PluginRegistrationFailed: its requirements cannot be installed.
            NotFound: it is not kept.
        """
        return Program(await self._environments.folder_of(package), package, checks_of(package.contract))

    async def start(self, program: Program) -> PluginProcess:
        """Start an instance, warm it up, and return it ready for calls.

        Raises:
            PluginFailure: it is not what its contract promises.
        """
        async with self._starting:
            process = await self.start_cold(program)
            try:
                await process.hook("on_warm_up")
                await _warm_up(process, program)
                await check_health(process, program)
            except PluginFailure as failure:
                await process.stop(0)
                raise PluginFailure(failure.kind, failure.message, details={"stderr": process.stderr_tail}) from None
            except BaseException:
                await process.stop(0)
                raise
        return process

    async def start_cold(self, program: Program) -> PluginProcess:
        """Start an instance that speaks and offers what it should, and nothing more.

        Raises:
            PluginFailure: it does not.
        """
        return await PluginProcess.start(
            program.folder,
            program.contract,
            jail=self._jail,
            work=self._packages.work,
            services=self._network.services_of(program.package),
        )

    async def start_again(self, program: Program) -> PluginProcess:
        """Start an instance in the place of one that died.

        Raises:
            PluginFailure: it is not what its contract promises.
            ManifestInvalid: its package was changed since.
            NotFound: its package was removed since.
        """
        await asyncio.to_thread(self._packages.get, program.package.digest)
        await self._environments.folder_of(program.package)
        return await self.start(program)

    def forget(self, digest: str) -> None:
        """Remove what was made to run a package."""
        self._environments.remove(digest)


async def check_health(process: PluginProcess, program: Program) -> None:
    """Make the call that the contract names as its health check, or ping.

    Raises:
        PluginFailure: the instance is sick.
    """
    named = program.contract.health_check
    if named.capability is None or named.method is None:
        await process.ping()
        return
    checks = program.checks[named.capability, named.method]
    timeout = checks.method.timeout_seconds
    checks.check_result(await process.call(named.capability, named.method, named.arguments, timeout))


async def _warm_up(process: PluginProcess, program: Program) -> None:
    for (capability, method), checks in program.checks.items():
        if checks.method.repeatable:
            for number, example in enumerate(checks.method.examples):
                timeout = max(checks.method.timeout_seconds, WARM_UP_SECONDS)
                result = await process.call(capability, method, example.arguments, timeout)
                checks.check_result(result)
                if not _as_stated(result, example, checks):
                    subject = f"{program.package.id} answers example {number} of {checks.tool}"
                    text = f"{subject} otherwise than its contract says."
                    raise PluginFailure(ErrorKind.INVALID_RESULT, text)


def _as_stated(result: JsonObject, example: Example, checks: MethodChecks) -> bool:
    return example.result is None or checks.method.agree(example.result, result)
