"""What an entry of a host list means."""

from __future__ import annotations

import re

import pytest

from domain.network import HOST_PATTERN, Destination


@pytest.mark.parametrize(
    ("entry", "host", "port"),
    [
        ("api.example.org", "api.example.org", "443"),
        ("API.Example.org:8443", "api.example.org", "8443"),
        ("127.0.0.1:80", "127.0.0.1", "80"),
        ("[::1]:80", "::1", "80"),
        ("[0:0:0:0:0:0:0:1]", "::1", "443"),
    ],
)
def test_an_entry_is_a_host_and_a_port(entry: str, host: str, port: str) -> None:
    assert re.match(HOST_PATTERN, entry)
    assert Destination.of(entry) == (host, port)
    assert Destination.of(str(Destination.of(entry))) == (host, port)


@pytest.mark.parametrize(
    "entry", ["", "*", "*.example.org", "a b", "https://example.org", "::1", "a:b", "a:", "-a", "a/b"]
)
def test_a_contract_names_hosts_and_no_patterns(entry: str) -> None:
    assert not re.match(HOST_PATTERN, entry)


@pytest.mark.parametrize(
    ("pattern", "entry", "allowed"),
    [
        ("api.example.org", "api.example.org", True),
        ("api.example.org", "API.EXAMPLE.ORG:443", True),
        ("api.example.org", "api.example.org:80", False),
        ("*.example.org", "api.example.org", True),
        ("*.example.org", "example.org", False),
        ("*.example.org", "api.example.org.evil.test", False),
        ("*.example.org:8443", "api.example.org:8443", True),
        ("db.local:*", "db.local:5432", True),
        ("*:*", "[::1]:80", True),
        ("[::1]:80", "[::1]:80", True),
        ("[0::1]:80", "[::1]:80", True),
    ],
)
def test_a_policy_may_use_patterns(pattern: str, entry: str, allowed: bool) -> None:
    assert Destination.of(entry).is_allowed([pattern]) is allowed


@pytest.mark.parametrize(
    ("listed", "named"),
    [("127.0.0.1:80", True), ("127.0.0.1:*", True), ("127.0.0.*:80", False), ("*:*", False), ("127.0.0.1", False)],
)
def test_only_what_is_written_out_is_named(listed: str, named: bool) -> None:
    assert Destination.of("127.0.0.1:80").is_named([listed]) is named


def test_nothing_is_allowed_by_nothing() -> None:
    assert not Destination.of("example.org").is_allowed([])
