"""Spec 11.2, permission model - decides who may give orders to the gateway, and what each order's HTTP looks like.

Rules:
- The port listens on the loopback only, and every request carries the home's token.
- A refusal is the error's document; its status says whose turn it is: 4xx the caller's, 503 a service's.

Not here: carrying an order out (`gateway/swaps.py`), the other end (`gateway/admin_client.py`).
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as Path

from domain.base import JsonObject
from domain.errors import (
    IllegalTransition,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ServiceUnreachable,
    UpgradeLoopError,
)
from domain.plugins import LoadReport, UnloadReport
from domain.routing import PluginVersion, Route, RoutingTable
from gateway.admin_client import Flushed, GatewayStatus, ProbeOrder, ProbeResult
from gateway.calls import Versions
from plugins.core.failures import PluginFailure

STATUS_OF: Final[tuple[tuple[type[UpgradeLoopError], int], ...]] = (
    (NotFound, 404),
    (IllegalTransition, 409),
    (PermissionDenied, 401),
    (InvalidInput, 400),
    (ServiceUnreachable, 503),
    (UpgradeLoopError, 422),
)
"""The first kind that an error is, decides."""

Order = Callable[[Request], Awaitable[BaseModel]]


class Orders(Protocol):
    """What carries the orders out."""

    async def load(self, version: PluginVersion) -> LoadReport:
        """Bring a version up."""

    async def unload(self, digest: str) -> UnloadReport:
        """Put a version down."""

    async def set_route(self, route: Route) -> RoutingTable:
        """Put a route in force."""

    async def remove_route(self, capability: str) -> RoutingTable:
        """Take a capability away."""


class AdminPort:
    """The admin port as an ASGI application.

    Args:
        token: that every request must carry.
        orders: carries them out.
        versions: answers probes.
        status: tells how the gateway stands.
        flush: waits for the ledger.
    """

    def __init__(
        self,
        token: str,
        orders: Orders,
        versions: Versions,
        *,
        status: Callable[[], GatewayStatus],
        flush: Callable[[], Awaitable[None]],
    ) -> None:
        self._token = token.encode()
        self._orders, self._versions, self._status, self._flush = orders, versions, status, flush
        self.app = Starlette(
            routes=[
                Path("/status", self._guarded(self._on_status), methods=["GET"]),
                Path("/versions", self._guarded(self._on_load), methods=["POST"]),
                Path("/versions/{digest}", self._guarded(self._on_unload), methods=["DELETE"]),
                Path("/routes/{capability}", self._guarded(self._on_set_route), methods=["PUT"]),
                Path("/routes/{capability}", self._guarded(self._on_remove_route), methods=["DELETE"]),
                Path("/probe", self._guarded(self._on_probe), methods=["POST"]),
                Path("/flush", self._guarded(self._on_flush), methods=["POST"]),
            ]
        )

    def _guarded(self, order: Order) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                self._admit(request)
                return Response((await order(request)).model_dump_json(), media_type="application/json")
            except UpgradeLoopError as error:
                status = next(status for kind, status in STATUS_OF if isinstance(error, kind))
                return JSONResponse(error.document(), status_code=status)
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                where = ".".join(map(str, first["loc"]))
                refusal = InvalidInput(f"The order cannot be read: {where}: {first['msg']}.")
                return JSONResponse(refusal.document(), status_code=400)

        return answer

    def _admit(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token):
            raise PermissionDenied(
                "The admin port asks for this home's token.", hint="It lies in `admin.token` in the home."
            )

    async def _on_status(self, _: Request) -> GatewayStatus:
        return self._status()

    async def _on_load(self, request: Request) -> LoadReport:
        return await self._orders.load(PluginVersion.model_validate_json(await request.body()))

    async def _on_unload(self, request: Request) -> UnloadReport:
        return await self._orders.unload(request.path_params["digest"])

    async def _on_set_route(self, request: Request) -> RoutingTable:
        route = Route.model_validate_json(await request.body())
        if route.capability != request.path_params["capability"]:
            raise InvalidInput(f"The route is of {route.capability}, the path of {request.path_params['capability']}.")
        return await self._orders.set_route(route)

    async def _on_remove_route(self, request: Request) -> RoutingTable:
        return await self._orders.remove_route(request.path_params["capability"])

    async def _on_probe(self, request: Request) -> ProbeResult:
        order = ProbeOrder.model_validate_json(await request.body())
        started = time.perf_counter()

        def ended(result: JsonObject | None = None, failure: PluginFailure | None = None) -> ProbeResult:
            return ProbeResult(
                ok=failure is None,
                result=result,
                error=failure.kind if failure else None,
                message=failure.message if failure else "",
                duration_ms=(time.perf_counter() - started) * 1_000,
            )

        try:
            return ended(await self._versions.call(order.version, order.capability, order.method, order.arguments))
        except PluginFailure as failure:
            return ended(failure=failure)

    async def _on_flush(self, _: Request) -> Flushed:
        await self._flush()
        return Flushed()
