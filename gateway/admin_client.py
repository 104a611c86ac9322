"""Spec 9.1, implementation - decides what the loop may ask of a running gateway.

Rules:
- Every order may be repeated: the same order again changes nothing and gets the same answer.
- What the gateway refuses arrives here as the exception it raised there; no answer at all is `GatewayUnreachable`.

Not here: carrying the orders out (`gateway/admin.py`, `gateway/swaps.py`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx
from pydantic import BaseModel, Field, ValidationError

from config.home import Home
from domain.base import JsonObject, Model
from domain.calls import ErrorKind
from domain.errors import GatewayUnreachable, UpgradeLoopError
from domain.plugins import LoadedVersion, LoadReport, UnloadReport
from domain.routing import PluginVersion, Route, RoutingTable

M = TypeVar("M", bound=BaseModel)
PATIENCE: Final = httpx.Timeout(120, connect=10)
"""Loading a version may take as long as its warm-up; connecting may not."""


class GatewayAddress(Model):
    """Where a gateway listens; `gateway.json` in the home while it is ready."""

    door: str
    admin: str
    pid: int = Field(ge=1)


class GatewayStatus(Model):
    """How a gateway stands.

    Attributes:
        generation: number of the table in force.
        reasons: why it is not ready, empty when it is.
        in_flight: calls being answered.
        ledger_queued: entries in memory.
        ledger_journalled: entries that wait on disk for the store.
        ledger_lost: entries given up since the start.
        store_answers: whether the store took the last batch.
    """

    generation: int = Field(ge=0)
    ready: bool
    reasons: tuple[str, ...] = ()
    table: RoutingTable
    versions: tuple[LoadedVersion, ...] = ()
    in_flight: int = Field(ge=0)
    ledger_queued: int = Field(ge=0)
    ledger_journalled: int = Field(ge=0)
    ledger_lost: int = Field(ge=0)
    store_answers: bool


class ProbeOrder(Model):
    """A call of one version outside routing and ledger."""

    version: PluginVersion
    capability: str
    method: str
    arguments: JsonObject = Field(default_factory=dict)


class ProbeResult(Model):
    """What a probe gave."""

    ok: bool
    result: JsonObject | None = None
    error: ErrorKind | None = None
    message: str = ""
    duration_ms: float = Field(ge=0)


class Flushed(Model):
    """Everything called before is in the store."""

    flushed: bool = True


class AdminClient:
    """Gives orders to a gateway.

    Args:
        base_url: of the admin port.
        token: `home.admin_token()`.
    """

    def __init__(self, base_url: str, token: str) -> None:
        self._base_url = base_url
        self._client = httpx.AsyncClient(
            base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE, trust_env=False
        )

    @classmethod
    def of(cls, home: Home) -> AdminClient:
        """Return a client of the home's running gateway.

        Raises:
            GatewayUnreachable: none is running.
        """
        return cls(read_address(home).admin, home.admin_token())

    async def __aenter__(self) -> Self:
        """Use the client in a block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def status(self) -> GatewayStatus:
        """Return how the gateway stands."""
        return await self._ask("GET", "/status", GatewayStatus)

    async def load(self, version: PluginVersion) -> LoadReport:
        """Bring a version up beside the others.

        Raises:
            PluginRegistrationFailed: it does not start, or does not do what its contract says.
        """
        return await self._ask("POST", "/versions", LoadReport, version)

    async def unload(self, digest: str) -> UnloadReport:
        """Put a version down once its calls are done.

        Raises:
            IllegalTransition: a route needs it.
        """
        return await self._ask("DELETE", f"/versions/{digest}", UnloadReport)

    async def set_route(self, route: Route) -> RoutingTable:
        """Put a route in force and return the table that holds it.

        Raises:
            PluginRegistrationFailed: a version of it does not come up; the old table stays in force.
            StoreUnusable: the table cannot be saved; the old one stays in force.
        """
        return await self._ask("PUT", f"/routes/{route.capability}", RoutingTable, route)

    async def remove_route(self, capability: str) -> RoutingTable:
        """Take a capability away from the agents and return the table without it."""
        return await self._ask("DELETE", f"/routes/{capability}", RoutingTable)

    async def probe(self, version: PluginVersion, capability: str, method: str, arguments: JsonObject) -> ProbeResult:
        """Call one loaded version directly; the ledger does not see it."""
        order = ProbeOrder(version=version, capability=capability, method=method, arguments=arguments)
        return await self._ask("POST", "/probe", ProbeResult, order)

    async def flush(self) -> None:
        """Wait until every call answered so far is in the store.

        Raises:
            StoreUnusable: the store does not take them.
        """
        await self._ask("POST", "/flush", Flushed)

    async def _ask(self, verb: str, path: str, answer: type[M], order: Model | None = None) -> M:
        content = order.model_dump_json() if order is not None else None
        try:
            response = await self._client.request(verb, path, content=content)
            if response.is_success:
                return answer.model_validate_json(response.content)
        except (httpx.HTTPError, ValidationError) as error:
            raise GatewayUnreachable(
                f"The gateway's admin port at {self._base_url} does not answer {verb} {path}: "
                f"{error or type(error).__name__}.",
                hint="Start it with `upgrade-loop up` or `upgrade-loop gateway`, and look at its log.",
            ) from error
        raise _refusal(response)


def read_address(home: Home) -> GatewayAddress:
    """Return where the home's gateway listens.

    Raises:
        GatewayUnreachable: no gateway of this home is running.
    """
    path = address_path(home)
    try:
        return GatewayAddress.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise GatewayUnreachable(
            f"No gateway is running for the home {home.root}.",
            hint="Start it with `upgrade-loop up` or `upgrade-loop gateway`.",
        ) from error


def write_address(home: Home, door: str, admin: str) -> GatewayAddress:
    """Let everybody know that this process serves the home."""
    address = GatewayAddress(door=door, admin=admin, pid=os.getpid())
    path = address_path(home)
    draft = path.with_suffix(".new")
    draft.write_text(address.model_dump_json(), encoding="utf-8")
    draft.replace(path)
    return address


def remove_address(home: Home) -> None:
    """Let everybody know that this process serves the home no more; another's word stays."""
    path = address_path(home)
    try:
        if GatewayAddress.model_validate_json(path.read_bytes()).pid == os.getpid():
            path.unlink()
    except (OSError, ValidationError):
        return


def address_path(home: Home) -> Path:
    """Return where the address is written."""
    return home.root / "gateway.json"


def _refusal(response: httpx.Response) -> UpgradeLoopError:
    """Return the exception that the gateway answered with."""
    try:
        document = json.loads(response.content)["error"]
        kind = {known.code: known for known in _all_errors(UpgradeLoopError)}.get(document["code"], UpgradeLoopError)
        if kind.__init__ is not UpgradeLoopError.__init__:
            kind = UpgradeLoopError
        return kind(document["message"], hint=document["hint"], details=document["details"])
    except (ValueError, KeyError, TypeError):
        return GatewayUnreachable(
            f"The gateway's admin port answered {response.status_code} and nothing that can be read.",
            hint="Make sure that the port belongs to this home's gateway.",
        )


def _all_errors(root: type[UpgradeLoopError]) -> Iterator[type[UpgradeLoopError]]:
    for kind in root.__subclasses__():
        yield from _all_errors(kind)
        yield kind
