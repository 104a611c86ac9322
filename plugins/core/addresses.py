"""Spec 3.1, addresses - decides where a host's name leads, and whether an address is anybody's or the house's own.

Rules:
- Public is what the registries call globally reachable. Loopback, private, link-local, shared, documentation,
  multicast and unspecified addresses are not, and neither is an IPv6 address that wraps one of these.

Not here: whether an address may be connected to (`network.py`).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Final

_WRAPPERS: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""NAT64 and the oldest form: the last four bytes are an IPv4 address."""


async def addresses_of(host: str, port: int) -> list[str]:
    """Return the addresses of a host, in the order in which they should be tried.

    Raises:
        OSError: the name cannot be looked up.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Say whether an address is one that anybody may connect to."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # an address with a zone (`fe80::1%eth0`) is link-local
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if (inner := _wrapped(found)) is not None:
            return is_public(str(inner))
        return found.is_global and not (found.is_multicast or found.is_site_local)
    return found.is_global and not found.is_multicast


def _wrapped(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to by way of a translator or a tunnel."""
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _WRAPPERS):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
