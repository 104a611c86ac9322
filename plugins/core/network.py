"""Spec 3.1, the network through the host - decides which HTTP request is made for a plugin, and to which address.

Rules:
- A request is made only to a `host:port` that the contract names and the policy allows; so is each redirect, of which
  `REDIRECT_LIMIT` are followed.
- The host looks the name up and connects to the very address it has judged. One that is not public is connected to
  only if contract and policy both name that address itself; a name that leads to one does not do.
- No proxy, no cookie and no connection outlives its request, and what a plugin may not set is refused.
- A body, there or back, is at most `BODY_LIMIT` bytes; the answer's is handed over as it came, never unpacked here.
- Every request is told when it has ended, refused ones too.

Not here: the plugin's side (`fetching.py`), how many at a time (`host_calls.py`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import httpx
from pydantic import Field, ValidationError

from domain.base import JsonObject, Model
from domain.contracts import PluginPackage
from domain.network import Destination, NetworkOutcome, NetworkRequest
from plugins.core.addresses import addresses_of, is_public
from plugins.core.host_calls import HostRefusal, RefusalKind, Service

FETCH: Final = "upgrade_loop/host.fetch"
BODY_LIMIT: Final = 4 * 1024 * 1024
"""As base64 it still fits a line of the pipe."""
REDIRECT_LIMIT: Final = 5
LONGEST_SECONDS: Final = 120.0
PATIENCE: Final = httpx.Timeout(None, connect=5.0)
"""One address may be silent for a while before the next is tried; what the whole may take is the plugin's to say."""
CONNECTIONS: Final = 64
WORDS_LIMIT: Final = 500
HEADERS: Final = {"accept-encoding": "identity", "user-agent": "self-upgrading-loop/1"}
NOT_THE_PLUGINS: Final = frozenset(
    {"host", "connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
    | {"proxy-authorization", "proxy-connection"}
)
"""Headers that say whom the host talks to and how, which is the host's to say."""

Told = Callable[[NetworkRequest], None]


class Wish(Model):
    """What a plugin asks for."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    url: str = Field(max_length=8_192)
    headers: dict[str, str] = Field(default_factory=dict, max_length=100)
    body_base64: str = ""
    timeout_seconds: float = Field(default=30.0, gt=0, le=LONGEST_SECONDS)


@dataclass
class _Story:
    """What is to be told of one request."""

    method: str = ""
    destinations: list[str] = field(default_factory=list)
    status: int | None = None
    sent: int = 0
    received: int = 0
    outcome: NetworkOutcome = NetworkOutcome.FAILED
    reason: str = ""


class Network:
    """Makes HTTP requests for plugins.

    Args:
        policy: patterns of the destinations that the house allows.
        told: told of every request when it has ended; must not wait.
    """

    def __init__(self, policy: Sequence[str] = (), told: Told = lambda _: None) -> None:
        self._policy = tuple(policy)
        self._told = told
        self._transport: httpx.AsyncHTTPTransport | None = None

    def services_of(self, package: PluginPackage) -> Mapping[str, Service]:
        """Return what is offered to the processes of a package: nothing, unless its contract names hosts."""
        if not package.contract.security_profile.network_hosts:
            return {}

        async def fetch(params: JsonObject) -> JsonObject:
            return await self._fetch(package, params)

        return {FETCH: fetch}

    async def _fetch(self, package: PluginPackage, params: JsonObject) -> JsonObject:
        clock = asyncio.get_running_loop().time
        started, story = clock(), _Story()
        try:
            answer = await self._answer(_Gate(package, self._policy, story), params, story)
            story.outcome = NetworkOutcome.ANSWERED
        except HostRefusal as refusal:
            story.outcome, story.reason = NetworkOutcome(refusal.kind), refusal.message[:WORDS_LIMIT]
            raise
        except asyncio.CancelledError:
            story.outcome, story.reason = NetworkOutcome.CANCELLED, "The call that this was for has ended."
            raise
        finally:
            self._tell(package, story, clock() - started)
        return answer

    async def _answer(self, gate: _Gate, params: JsonObject, story: _Story) -> JsonObject:
        wish, body = _read(params)
        story.method, story.sent = wish.method, len(body)
        gate.inner = await self._connections()
        try:
            async with (
                asyncio.timeout(wish.timeout_seconds),
                httpx.AsyncClient(transport=gate, timeout=PATIENCE) as client,
            ):
                request = client.build_request(wish.method, wish.url, headers=HEADERS | wish.headers, content=body)
                response = await _follow(client, request)
                story.status = response.status_code
                content = await _content(response, story)
        except TimeoutError:
            text = f"There was no whole answer within {wish.timeout_seconds:g} seconds."
            raise HostRefusal(RefusalKind.TIMEOUT, text) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            text = f"{wish.method} failed: {type(error).__name__}: {error}"
            raise HostRefusal(RefusalKind.FAILED, text[:WORDS_LIMIT]) from error
        return {
            "status": response.status_code,
            "url": str(response.url),
            "headers": dict(response.headers),
            "body_base64": base64.b64encode(content).decode("ascii"),
        }

    async def _connections(self) -> httpx.AsyncHTTPTransport:
        """Return what connects; made at first need, because reading the world's certificates takes a while."""
        if self._transport is None:
            context = await asyncio.to_thread(httpx.create_ssl_context)
            self._transport = self._transport or _transport(context)
        return self._transport

    def _tell(self, package: PluginPackage, story: _Story, seconds: float) -> None:
        self._told(
            NetworkRequest(
                plugin=package.id,
                digest=package.digest,
                method=story.method,
                destinations=tuple(story.destinations),
                outcome=story.outcome,
                status=story.status,
                sent_bytes=story.sent,
                received_bytes=story.received,
                seconds=seconds,
                reason=story.reason,
            )
        )


class _Gate(httpx.AsyncBaseTransport):
    """Lets a request through to an address that was judged, and to no other."""

    def __init__(self, package: PluginPackage, policy: Sequence[str], story: _Story) -> None:
        self._package = package
        self._listed = package.contract.security_profile.network_hosts
        self._policy = policy
        self._story = story
        self.inner: httpx.AsyncBaseTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Connect to the first address that answers."""
        assert self.inner is not None
        destination = _destination(request.url)
        self._story.destinations.append(str(destination)[:WORDS_LIMIT])
        self._admit(destination)
        addresses = await addresses_of(destination.host, int(destination.port))
        for address in addresses:
            self._judge(destination, address)
        failure: httpx.TransportError | None = None
        for address in addresses:
            try:
                return await self.inner.handle_async_request(_pinned(request, destination.host, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure or httpx.ConnectError(f"{destination.host} has no address")

    def _admit(self, destination: Destination) -> None:
        """Refuse a destination that contract or policy does not have."""
        if not destination.is_named(self._listed):
            text = f"{destination} is not in security_profile.network_hosts of {self._package.id}."
            raise HostRefusal(RefusalKind.REFUSED, text)
        if not destination.is_allowed(self._policy):
            text = f"The setting security.network_hosts does not allow {destination}."
            raise HostRefusal(RefusalKind.REFUSED, text)

    def _judge(self, destination: Destination, address: str) -> None:
        """Refuse an address that is not public, unless it is named itself."""
        itself = destination._replace(host=address)
        if not is_public(address) and not (itself.is_named(self._listed) and itself.is_named(self._policy)):
            where = "" if address == destination.host else f"{destination.host} leads to {address}. "
            text = f"{where}{address} is no public address; contract and setting must both name {itself}."
            raise HostRefusal(RefusalKind.REFUSED, text)


def _read(params: JsonObject) -> tuple[Wish, bytes]:
    """Return what a plugin wishes, and the body it sends."""
    try:
        wish = Wish.model_validate(params)
        body = base64.b64decode(wish.body_base64, validate=True)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:3])
        raise HostRefusal(RefusalKind.REFUSED, f"The request cannot be made: {told}.") from None
    except binascii.Error as error:
        raise HostRefusal(RefusalKind.REFUSED, f"The request's body is no base64: {error}.") from None
    if len(body) > BODY_LIMIT:
        raise HostRefusal(RefusalKind.REFUSED, f"The request's body has more than {BODY_LIMIT} bytes.")
    for name in wish.headers:
        if name.lower() in NOT_THE_PLUGINS:
            raise HostRefusal(RefusalKind.REFUSED, f"The header {name} is the host's to set.")
    return wish, body


async def _follow(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    for _ in range(REDIRECT_LIMIT + 1):
        response = await client.send(request, stream=True)
        if response.next_request is None:
            return response
        await response.aclose()
        request = response.next_request
    raise HostRefusal(RefusalKind.REFUSED, f"It was sent on more than {REDIRECT_LIMIT} times.")


async def _content(response: httpx.Response, story: _Story) -> bytes:
    content = bytearray()
    async with contextlib.aclosing(response):
        async for chunk in response.aiter_raw():
            content += chunk
            story.received = len(content)
            if len(content) > BODY_LIMIT:
                raise HostRefusal(RefusalKind.REFUSED, f"The answer has more than {BODY_LIMIT} bytes.")
    return bytes(content)


def _destination(url: httpx.URL) -> Destination:
    if url.scheme not in {"http", "https"} or url.userinfo:
        raise HostRefusal(RefusalKind.REFUSED, "Only http and https URLs without a user's name can be asked for.")
    port = url.port or (443 if url.scheme == "https" else 80)
    return Destination.of(f"[{url.host}]:{port}" if ":" in url.host else f"{url.raw_host.decode('ascii')}:{port}")


def _pinned(request: httpx.Request, host: str, address: str) -> httpx.Request:
    """Return the request to an address; its `Host` header and the name that TLS proves stay the host's."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": host},
    )


def _transport(context: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)
