"""Spec 4.1, assignment for other programs - decides what the door answers to OpenFeature's remote evaluation (OFREP).

Rules:
- A flag is a capability. Its value is the variant that answers the caller now: `control` or `candidate`, or `none`
  where the capability is not open to the caller yet.
- The answer is that of the table in force, by the function that places calls. Asking is no call: nothing is recorded,
  and no plugin is woken.
- The targeting key is the caller's name; `agent` and `session` of the context stand for what a call would carry. A
  route that assigns each call anew answers anew each time.
- The same hosts, origins and bearer tokens are let in as for MCP.

Source: the OpenAPI document of the OpenFeature Remote Evaluation Protocol.

Not here: placement (`engines/routing.py`), OpenFeature's hooks and defaults (its SDKs).
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any, Final

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as Address

from domain.errors import PermissionDenied
from domain.routing import Route, RoutingTable, Unit, VariantName
from engines.routing import Router
from gateway.identity import Caller, Identities

NONE: Final = "none"
PATH: Final = "/ofrep/v1/evaluate/flags"


class Unanswerable(Exception):
    """A request that OFREP answers with an error code."""

    def __init__(self, code: str, details: str, status: int = 400) -> None:
        super().__init__(details)
        self.document = {"errorCode": code, "errorDetails": details}
        self.status = status


class Evaluations:
    """Answers which variant a caller is on.

    Args:
        table: returns the routing table in force.
        identities: know the bearer tokens and the callers' hashes.
        security: which hosts and origins are let in.
    """

    def __init__(
        self, table: Callable[[], RoutingTable], identities: Identities, security: TransportSecuritySettings
    ) -> None:
        self._table = table
        self._identities = identities
        self._guard = TransportSecurityMiddleware(security)
        self._known = RoutingTable()
        self._written: dict[str, Flag] = {}

    @property
    def addresses(self) -> list[Address]:
        """Where it is asked: for one flag, and for all."""
        return [
            Address(f"{PATH}/{{key}}", endpoint=self._one, methods=["POST"]),
            Address(PATH, endpoint=self._all, methods=["POST"]),
        ]

    async def _one(self, request: Request) -> Response:
        key = request.path_params["key"]
        refused = await self._refused(request)
        if refused is not None:
            return refused
        try:
            caller = self._caller(await _context_of(request))
            flag = self._flags().get(key)
            if flag is None:
                raise Unanswerable("FLAG_NOT_FOUND", f"There is no capability {key[:100]!r}.", 404)
            return JSONResponse(flag.evaluate(caller))
        except Unanswerable as error:
            return JSONResponse({"key": key, **error.document}, status_code=error.status)

    async def _all(self, request: Request) -> Response:
        refused = await self._refused(request)
        if refused is not None:
            return refused
        try:
            caller = self._caller(await _context_of(request))
        except Unanswerable as error:
            return JSONResponse(error.document, status_code=error.status)
        flags = [flag.evaluate(caller) for _, flag in sorted(self._flags().items())]
        tag = f'"{hashlib.sha256(json.dumps(flags).encode()).hexdigest()[:32]}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return JSONResponse({"flags": flags}, headers={"ETag": tag})

    def _flags(self) -> dict[str, Flag]:
        """Return the flags of the table in force."""
        table = self._table()
        if table is not self._known:
            self._known, self._written = table, {name: Flag(route) for name, route in table.routes.items()}
        return self._written

    async def _refused(self, request: Request) -> Response | None:
        """Return what is told to those who are not let in."""
        try:
            self._identities.admit(request.headers.get("authorization"))
        except PermissionDenied as error:
            return JSONResponse(error.document(), status_code=401, headers={"WWW-Authenticate": "Bearer"})
        return await self._guard.validate_request(request, is_post=True)

    def _caller(self, context: dict[str, Any]) -> Caller:
        name, agent, session = (context.get(key) for key in ("targetingKey", "agent", "session"))
        if not isinstance(name, str) or not name:
            raise Unanswerable("TARGETING_KEY_MISSING", "The context has no targetingKey: the name of the caller.")
        if not isinstance(agent, str | None) or not isinstance(session, str | None):
            raise Unanswerable("INVALID_CONTEXT", "agent and session are texts.")
        return Caller(name=name, hash=self._identities.hash_of(name), agent=agent or "", session=session)


async def _context_of(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise Unanswerable("PARSE_ERROR", f"The body is no JSON: {error}.") from None
    context = body.get("context", {}) if isinstance(body, dict) else None
    if not isinstance(context, dict):
        raise Unanswerable("INVALID_CONTEXT", 'The body is like {"context": {"targetingKey": "anna"}}.')
    return context


class Flag:
    """A capability as a flag; what can be answered is written once for a route, and chosen for each caller."""

    def __init__(self, route: Route) -> None:
        self._route, self._router = route, Router(route)
        placed = "STATIC" if route.candidate is None else "SPLIT"
        self._answers = {variant: _answer(route, variant, placed) for variant in (None, *VariantName)}
        self._allowed = _answer(route, VariantName.CANDIDATE, "TARGETING_MATCH")

    def evaluate(self, caller: Caller) -> dict[str, Any]:
        """Return which variant answers, and why; not to be changed."""
        route = self._route
        unit = caller.unit(route.unit, secrets.token_hex(16) if route.unit is Unit.CALL else "")
        variant = self._router.choose(unit, caller.name, caller.hash)
        allowed = variant is VariantName.CANDIDATE and caller.name in route.allowed_callers
        return self._allowed if allowed else self._answers[variant]


def _answer(route: Route, variant: VariantName | None, reason: str) -> dict[str, Any]:
    version = route.version_of(variant) if variant is not None else None
    told = {"version": version.id if version else "", "upgrade_id": route.upgrade_id or "", "hash_id": route.hash_id}
    value = variant or NONE
    return {"key": route.capability, "value": value, "variant": value, "reason": reason, "metadata": told}
