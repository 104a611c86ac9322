"""Which addresses are anybody's."""

from __future__ import annotations

import socket

import pytest

from plugins.core.addresses import addresses_of, is_public

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1", "2002:101:101::1"]
NOT_PUBLIC = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "private (RFC 1918, RFC 4193)": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00::1"],
    "link-local, with the address that clouds keep their secrets at": ["169.254.169.254", "fe80::1", "fe80::1%eth0"],
    "shared (RFC 6598)": ["100.64.0.1"],
    "unspecified and this network": ["0.0.0.0", "0.1.2.3", "::"],
    "multicast and broadcast": ["224.0.0.1", "239.1.1.1", "255.255.255.255", "ff02::1", "ff0e::1"],
    "documentation and tests": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "2001:db8::1"],
    "reserved": ["240.0.0.1", "fec0::1"],
    "wrapped": [
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
    "no address": ["", "localhost", "2130706433", "0x7f.1"],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_a_globally_reachable_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", [one for group in NOT_PUBLIC.values() for one in group])
def test_every_other_address_is_not(address: str) -> None:
    assert not is_public(address)


async def test_a_name_is_looked_up_once_for_every_address() -> None:
    assert "127.0.0.1" in await addresses_of("127.0.0.1", 80)
    with pytest.raises(socket.gaierror):
        await addresses_of("there-is-no-such-host.invalid", 80)
