"""Spec 11.1, permissions - decides whether a plugin's walls hold, by letting it do its worst within them.

Every act is done by a real plugin process in the tier that is tried, as root and as an ordinary user, and judged from
outside. In the same process it must be able to do what every plugin needs: walls that let nothing start hold nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.isolation import Isolation
from plugins.core.isolation import this_machine

if sys.platform != "linux":
    pytest.skip("these walls are Linux's", allow_module_level=True)
assert sys.platform == "linux"

from tests.plugins.abuse.scene import CONTROLS

ROOT = Path(__file__).resolve().parents[3]
NOBODY = 65_534
LEFT: Mapping[Isolation, frozenset[str]] = {
    Isolation.SANDBOX: frozenset({"fill_inodes"}),
    Isolation.FENCED: frozenset({"fill_inodes", "fill_many_files"}),
}
"""What the walls do not hold back: the number of files, and within the fence alone their sum."""

WITHOUT_WALLS = frozenset(
    {"read_secret", "symlink_read", "environment_of_victim", "list_processes", "write_outside", "connect_loopback"}
    | {"connect_unix", "connect_abstract", "send_datagram", "kill_victim", "fork", "run_shell", "gain_privileges"}
    | {
        "memory_file_bomb",
        "shared_memory",
        "listen",
        "socket_netlink",
        "fill_many_files",
        "read_house",
        "send_through_a_pair",
        "change_attributes",
        "watch_folder",
        "move_victim",
    }
)
"""What any user's program can do: that these succeed without walls shows that the acts are acts."""


def played(tier: Isolation, user: int | None, acts: Iterable[str] = ()) -> dict[str, Any]:
    """Let acts be done in a tier, by this user or another one; all of them when none is named."""
    if not (offer := this_machine().offer(tier)).available:
        pytest.skip(f"{offer.reason} {offer.fix}")
    python = sys.executable if user is None else python_of(user)
    options: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    command = [python, "-m", "tests.plugins.abuse.scene", tier, *acts]
    ended = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, **options)
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert isinstance(document, dict)
    return document


def environment() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join((str(ROOT), sysconfig.get_path("purelib"))), "PYTHONDONTWRITEBYTECODE": "1"}


def python_of(user: int) -> str:
    """Return a Python that an ordinary user may run and that finds this project's libraries."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        command = [python, "-c", "import pydantic_core, psutil, orjson, plugins.core.process"]
        try:
            options: dict[str, Any] = {"user": user, "group": user, "extra_groups": []}
            subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, check=True, **options)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip("there is no Python of this version here that an ordinary user may run with these libraries")


@pytest.mark.parametrize("who", ["this user", "an ordinary user"])
@pytest.mark.parametrize("tier", [Isolation.SANDBOX, Isolation.FENCED])
def test_within_its_walls_a_plugin_gets_nothing_that_is_not_its_own(tier: Isolation, who: str) -> None:
    if who == "an ordinary user" and os.geteuid() != 0:
        pytest.skip("this is one already")
    told = played(tier, NOBODY if who == "an ordinary user" else None)
    got = {name: said for name, said in told["got"].items() if said}
    assert set(CONTROLS) <= set(got), "the plugin could not even work"
    assert {name: said for name, said in got.items() if name not in CONTROLS and name not in LEFT[tier]} == {}
    assert told["left_behind"] == []


def test_without_walls_the_same_acts_succeed() -> None:
    told = played(Isolation.TRUSTED, None, WITHOUT_WALLS)
    got = {name for name, said in told["got"].items() if said}
    assert WITHOUT_WALLS - got == set()
