"""Spec 3.2, destinations on the network - decides what an entry of a host list means, and what is told of a request.

Rules:
- An entry is `host:port`, or `host` alone for port 443. An IPv6 address stands in brackets.
- A contract names hosts one by one. A policy may use patterns: `*.example.org`, `*.example.org:8443`, `db.local:*`.
- A host that a pattern merely covers is allowed; only one that is written out is *named*.

Not here: making requests (`plugins/core/network.py`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import NamedTuple

from pydantic import Field

from domain.base import Model

HTTPS_PORT = 443
HOST_PATTERN = r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?)(:[0-9]{1,5})?$"
"""What a contract may name: a host or an address, and a port."""

_ENTRY = re.compile(r"\[(?P<address>[^\]]*)\](:(?P<its_port>.*))?|(?P<host>[^:]*)(:(?P<port>.*))?", re.DOTALL)


class Destination(NamedTuple):
    """A host, as its lower-case name or its address in the usual spelling, and a port."""

    host: str
    port: str

    @classmethod
    def of(cls, entry: str) -> Destination:
        """Return what an entry of a list means."""
        found = _ENTRY.fullmatch(entry)
        host = (found["address"] or found["host"] or "") if found else entry
        return cls(_usual(host), (found and (found["its_port"] or found["port"])) or str(HTTPS_PORT))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def is_allowed(self, policy: Iterable[str]) -> bool:
        """Say whether a policy's pattern covers the destination."""
        patterns = map(Destination.of, policy)
        return any(fnmatchcase(self.host, one.host) and fnmatchcase(self.port, one.port) for one in patterns)

    def is_named(self, entries: Iterable[str]) -> bool:
        """Say whether a list has this very host written out, at this port."""
        listed = map(Destination.of, entries)
        return any(self.host == one.host and fnmatchcase(self.port, one.port) for one in listed)


class NetworkOutcome(StrEnum):
    """How a plugin's request ended."""

    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


class NetworkRequest(Model):
    """A request that the host made for a plugin, or refused to make; neither path nor content is told.

    Attributes:
        plugin: `name@version`.
        digest: of its package.
        method: GET, POST, ...; empty when the plugin's wish could not be read.
        destinations: where it went, redirects included; the last one may be the one that was refused.
        status: of the last answer, None without one.
        sent_bytes: of the body.
        received_bytes: of the last answer's body.
        reason: why it was refused or failed, else empty.
    """

    plugin: str
    digest: str
    method: str = ""
    destinations: tuple[str, ...] = ()
    outcome: NetworkOutcome
    status: int | None = None
    sent_bytes: int = Field(default=0, ge=0)
    received_bytes: int = Field(default=0, ge=0)
    seconds: float = Field(ge=0)
    reason: str = ""


def _usual(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()
