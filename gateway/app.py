"""Spec 10.1, the door's addresses - decides what the door answers on which path.

Rules:
- `/mcp`, and `/agents/<name>/mcp` for an agent with a name, serve both protocol generations; `/metrics`, `/healthz` and
  `/readyz` serve whoever watches, `/ofrep` programs that route for themselves.
- A foreign `Origin` or `Host` is refused (DNS rebinding), and so is an unknown bearer token, before anything is read.
- A session from before a restart is served without one: the agent's call counts, not our memory of its handshake.

Not here: MCP itself (the SDK, `gateway/door.py`), OFREP (`gateway/ofrep.py`), the admin port (`gateway/admin.py`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from domain.errors import PermissionDenied
from domain.metrics import CONTENT_TYPE
from gateway.door import Door
from gateway.express import replayed
from gateway.identity import SESSION_HEADER, Identities
from gateway.in_flight import InFlight
from gateway.ofrep import Evaluations

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Watched:
    """What the door tells whoever watches it.

    Attributes:
        unready: why the door is not ready, empty when it is.
        metrics: the text of `/metrics`; may take its time.
    """

    unready: Callable[[], list[str]]
    metrics: Callable[[], str]


@dataclass(frozen=True)
class Managers:
    """The SDK's two ways to serve a request: in its session, and on its own."""

    sessions: StreamableHTTPSessionManager
    stateless: StreamableHTTPSessionManager

    @classmethod
    def of(cls, door: Door, host: str) -> Managers:
        """Make both for one server."""
        security = security_for(host)
        return cls(
            StreamableHTTPSessionManager(door.server, security_settings=security),
            StreamableHTTPSessionManager(door.server, security_settings=security, stateless=True),
        )


class Entrance:
    """Lets known callers in, and keeps serving sessions that an earlier process opened.

    Args:
        managers: serve MCP.
        identities: know the bearer tokens.
        posts: counts the posted messages being answered.
    """

    def __init__(self, managers: Managers, identities: Identities, posts: InFlight) -> None:
        self._managers = managers
        self._identities = identities
        self._posts = posts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope)
        try:
            self._identities.admit(request.headers.get("authorization"))
        except PermissionDenied as error:
            refusal = JSONResponse(error.document(), status_code=401, headers={"WWW-Authenticate": "Bearer"})
            await refusal(scope, receive, send)
            return
        if scope["method"] != "POST":
            await self._managers.sessions.handle_request(scope, receive, send)
            return
        with self._posts.counted():
            if SESSION_HEADER in request.headers:
                await self._in_session(scope, receive, send)
            else:
                await self._managers.sessions.handle_request(scope, receive, send)

    async def _in_session(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request of a session, and again without the session if there is none by that name."""
        kept: list[Message] = []
        unknown = False

        async def reading() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                kept.append(message)
            return message

        async def answering(message: Message) -> None:
            nonlocal unknown
            unknown = unknown or (message["type"] == "http.response.start" and message["status"] == 404)
            if not unknown:
                await send(message)

        await self._managers.sessions.handle_request(scope, reading, answering)
        if unknown:
            await self._managers.stateless.handle_request(scope, replayed(kept, receive), send)


def build_app(entrance: Entrance, watched: Watched, evaluations: Evaluations) -> Starlette:
    """Return the door as an ASGI application; the entrance's managers must be running while it serves.

    Args:
        entrance: serves MCP.
        watched: what `/metrics` and `/readyz` tell.
        evaluations: answers who is on which variant.
    """

    async def metrics(_: Request) -> Response:
        return PlainTextResponse(await run_in_threadpool(watched.metrics), media_type=CONTENT_TYPE)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def readyz(_: Request) -> Response:
        reasons = watched.unready()
        return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)

    return Starlette(
        routes=[
            Route("/mcp", endpoint=entrance),
            Route("/agents/{agent}/mcp", endpoint=entrance),
            Route("/metrics", endpoint=metrics),
            Route("/healthz", endpoint=healthz),
            Route("/readyz", endpoint=readyz),
            *evaluations.addresses,
        ]
    )


def names_of(host: str) -> frozenset[str]:
    """Return the names under which the door may be asked when it listens on `host`."""
    names = {*_LOOPBACK, f"[{host}]" if ":" in host else host}
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared with, not bound to
        names |= {socket.gethostname(), socket.getfqdn()}
    return frozenset(names)


def security_for(host: str) -> TransportSecuritySettings:
    """Return which `Host` and `Origin` headers are let in when the door listens on `host`."""
    hosts = sorted(names_of(host))
    return TransportSecuritySettings(
        allowed_hosts=[*hosts, *(f"{name}:*" for name in hosts)],
        allowed_origins=[
            f"{scheme}://{name}{port}" for scheme in ("http", "https") for name in hosts for port in ("", ":*")
        ],
    )
