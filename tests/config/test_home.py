"""Spec 10.1, deployment - decides whether everything lies under the home, and whose its secret is.

Not here: what is in the files.
"""

from __future__ import annotations

import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config.home import HOME_VARIABLE, Home


def test_the_argument_wins_over_the_environment_and_that_over_the_persons_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    assert Home.locate().root == (Path.home() / ".upgrade-loop").resolve()

    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "named"))
    assert Home.locate().root == tmp_path.resolve() / "named"
    assert Home.locate(tmp_path / "given").root == tmp_path.resolve() / "given"


def test_locating_makes_nothing_and_creating_twice_is_creating_once(tmp_path: Path) -> None:
    home = Home.locate(tmp_path / "home")
    assert not home.root.exists()

    home.create().create()

    assert {path.name for path in home.root.iterdir()} == {"config", "packages", "plugins", "snapshots", "logs"}


def test_everything_lies_under_the_home(tmp_path: Path) -> None:
    home = Home(tmp_path)
    places = (home.config, home.packages, home.plugins, home.snapshots, home.logs, home.temporal_database)

    assert all(place.is_relative_to(tmp_path) for place in (*places, home.token_file))
    assert home.database_url == f"sqlite:///{tmp_path.as_posix()}/loop.db"


def test_the_token_is_made_once_whoever_asks_first(home: Home) -> None:
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: Home(home.root).admin_token(), range(64)))

    assert len(tokens) == 1
    assert len(tokens.pop()) >= 32
    assert list(home.root.glob("admin.token*")) == [home.token_file]


def test_the_token_is_its_owners_only(home: Home) -> None:
    home.admin_token()

    if sys.platform == "win32":
        import win32security

        kind = win32security.DACL_SECURITY_INFORMATION
        rights = win32security.GetFileSecurity(str(home.token_file), kind).GetSecurityDescriptorDacl()
        everyone, users = (win32security.ConvertStringSidToSid(sid) for sid in ("S-1-1-0", "S-1-5-32-545"))
        assert not {str(rights.GetAce(n)[2]) for n in range(rights.GetAceCount())} & {str(everyone), str(users)}
    else:
        assert stat.S_IMODE(home.token_file.stat().st_mode) == 0o600
