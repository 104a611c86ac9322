"""Spec 3.4, bringing a version up - decides when a new instance may take calls.

Rules:
- Ready means: the process offers its contract's tools, its golden calls of methods without side effects give the
  stated results, and its health check passes. Callers never meet an instance before that.
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
from plugins.core.failures import PluginFailure
from plugins.core.packages import PackageStore
from plugins.core.process import PluginProcess
from plugins.core.sandbox import Jail, PlainJail

STARTS_AT_A_TIME = 2
WARM_UP_SECONDS = 30.0
"""Least time a golden call may take: the first call of a method is the slowest."""


@dataclass(frozen=True)
class Program:
    """A package that can be started: where it lies, what it promises, its compiled schemas."""

    folder: Path
    digest: str
    contract: PluginContract
    checks: Mapping[tuple[str, str], MethodChecks]

    @classmethod
    def of(cls, folder: Path, package: PluginPackage) -> Program:
        """Compile a package's schemas."""
        return cls(folder, package.digest, package.contract, checks_of(package.contract))

    @property
    def id(self) -> str:
        """`name@version`, as people write it."""
        return f"{self.contract.name}@{self.contract.version}"

    @property
    def warm_up_calls(self) -> int:
        """Golden calls made on every new instance."""
        return sum(len(check.method.examples) for check in self.checks.values() if check.method.repeatable)


class Loader:
    """Starts instances.

    Args:
        packages: where the packages lie; instances have their private folders beside them.
        jail: the walls around them.
    """

    def __init__(self, packages: PackageStore, jail: Jail | None = None) -> None:
        self._packages = packages
        self._jail = jail or PlainJail()
        self._starting = asyncio.Semaphore(STARTS_AT_A_TIME)

    async def start(self, program: Program) -> PluginProcess:
        """Start an instance, warm it up, and return it ready for calls.

        Raises:
            PluginFailure: it is not what its contract promises.
        """
        work = self._packages.work
        async with self._starting:
            process = await PluginProcess.start(program.folder, program.contract, jail=self._jail, work=work)
            try:
                await _warm_up(process, program)
                await check_health(process, program)
            except PluginFailure as failure:
                await process.stop(0)
                raise PluginFailure(failure.kind, failure.message, details={"stderr": process.stderr_tail}) from None
            except BaseException:
                await process.stop(0)
                raise
        return process

    async def start_again(self, program: Program) -> PluginProcess:
        """Start an instance in the place of one that died.

        Raises:
            PluginFailure: it is not what its contract promises.
            ManifestInvalid: its package was changed since.
            NotFound: its package was removed since.
        """
        await asyncio.to_thread(self._packages.get, program.digest)
        return await self.start(program)


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
                    text = f"{program.id} answers example {number} of {checks.tool} otherwise than its contract says."
                    raise PluginFailure(ErrorKind.INVALID_RESULT, text)


def _as_stated(result: JsonObject, example: Example, checks: MethodChecks) -> bool:
    return example.result is None or checks.method.agree(example.result, result)
