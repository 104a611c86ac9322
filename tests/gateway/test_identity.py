"""Who is calling, and what of them is placed on a version."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.home import Home
from domain.errors import ConfigurationInvalid, PermissionDenied
from domain.routing import Unit
from gateway.identity import CallersFile, Identities, issue_token, read_callers


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path).create()


def name_of(headers: dict[str, str], agent: str = "", meta: dict[str, object] | None = None) -> str:
    return Identities(CallersFile(), b"key").identify(headers, agent, meta).name


def test_the_caller_is_the_first_that_the_request_tells() -> None:
    session = {"mcp-session-id": "s1"}
    assert name_of({}) == "installation"
    assert name_of(session) == "session:s1"
    assert name_of(session, "bot") == "agent:bot"
    assert name_of(session, "bot", {"user": "ann"}) == "ann"
    assert name_of({**session, "x-upgrade-loop-user": "bob"}, "bot", {"user": "ann"}) == "bob"


def test_a_tokens_subject_wins_over_what_the_request_states(home: Home) -> None:
    token = issue_token(home, "carol")
    headers = {"authorization": f"Bearer {token}", "x-upgrade-loop-user": "bob"}
    assert Identities.of(home).identify(headers, "bot", None).name == "carol"


def test_an_unknown_token_is_refused_and_never_ignored(home: Home) -> None:
    with pytest.raises(PermissionDenied):
        Identities.of(home).identify({"authorization": "Bearer made-up"}, "", None)


def test_a_new_token_takes_the_place_of_the_old_one(home: Home) -> None:
    old, new = issue_token(home, "carol"), issue_token(home, "carol")
    assert Identities.of(home).admit(f"Bearer {new}") == "carol"
    with pytest.raises(PermissionDenied):
        Identities.of(home).admit(f"Bearer {old}")


def test_a_token_is_nowhere_on_disk(home: Home) -> None:
    token = issue_token(home, "carol")
    assert all(token not in path.read_text() for path in home.root.rglob("*") if path.is_file())


def test_without_a_token_nobody_passes_where_one_is_required() -> None:
    with pytest.raises(PermissionDenied):
        Identities(CallersFile(required=True), b"key").admit(None)


def test_the_ledgers_hash_is_keyed_by_the_home(tmp_path: Path) -> None:
    one, other = Home(tmp_path / "a").create(), Home(tmp_path / "b").create()
    hashes = {Identities.of(home).hash_of("ann") for home in (one, one, other)}
    assert len(hashes) == 2
    assert all("ann" not in text and len(text) == 32 for text in hashes)


def test_a_unit_that_the_request_lacks_falls_back_to_the_caller() -> None:
    caller = Identities(CallersFile(), b"key").identify({"x-upgrade-loop-user": "ann"}, "", None)
    assert [caller.unit(kind, "call-1") for kind in Unit] == ["ann", "ann", "ann", "call-1"]
    caller = Identities(CallersFile(), b"key").identify({"mcp-session-id": "s1"}, "bot", {"user": "ann"})
    assert [caller.unit(kind, "call-1") for kind in Unit] == ["ann", "bot", "s1", "call-1"]


def test_a_stated_name_cannot_spoil_a_log() -> None:
    assert name_of({"x-upgrade-loop-user": "ann\x1b[31m\r\nroot " + "x" * 500}).startswith("ann[31mroot x")
    assert len(name_of({"x-upgrade-loop-user": "x" * 500})) == 200
    assert name_of({}, "", {"user": 7}) == "installation"


def test_a_broken_callers_file_says_what_it_should_hold(home: Home) -> None:
    (home.config / "callers.json").write_text('{"callers": [{"name": "x"}]}')
    with pytest.raises(ConfigurationInvalid, match=r"callers\.json"):
        read_callers(home)
