"""Plugins by hand: what `upgrade-loop plugin` does and says, from the first folder to the last call.

Not here: what packing, registering and loading do in detail (`tests/plugins`, `tests/activities`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.home import Home
from gateway.admin_client import read_address
from store.database import open_store
from tests.gateway.factories import Agent
from tests.house.source import ROOT
from tests.plugins.test_dialects import server
from worker.cli import main
from worker.commands.session import SESSION


@dataclass(frozen=True)
class Said:
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


Line = Callable[..., Said]


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Line:
    """Return a function that runs `upgrade-loop plugin ...` inside this process."""
    for variable in [name for name in os.environ if name.startswith("UPGRADE_LOOP_")]:
        monkeypatch.delenv(variable)

    def inside(*arguments: str) -> Said:
        SESSION.as_json, SESSION.code = False, 0
        capsys.readouterr()
        code = main(["--home", str(tmp_path / "home"), "plugin", *arguments])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return Said(code, told.out, told.err)

    return inside


@pytest.fixture
def weather(line: Line, tmp_path: Path) -> Path:
    """A new plugin's folder."""
    assert line("new", "weather", "--into", str(tmp_path)).code == 0
    return tmp_path / "weather"


def audit(tmp_path: Path, subject: str) -> list[tuple[str, str]]:
    store = open_store(Home(tmp_path / "home").database_url)
    try:
        return [(entry.actor, entry.action) for entry in store.audit.entries(subject=subject)]
    finally:
        store.close()


def another_version(folder: Path, version: str, **changes: str) -> Path:
    """Copy a plugin as another version, with words of its code or contract changed."""
    copy = folder.with_name(f"{folder.name}-{version}")
    for source in folder.rglob("*"):
        if source.is_file():
            text = source.read_text(encoding="utf-8")
            for old, new in changes.items():
                text = text.replace(old, new)
            target = copy / source.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(
                re.sub(r'"version": "1.0.0",\n  "desc', f'"version": "{version}",\n  "desc', text), "utf-8"
            )
    return copy


def test_a_new_plugin_is_made_and_what_comes_next_is_told(line: Line, tmp_path: Path) -> None:
    said = line("new", "weather", "--into", str(tmp_path), "--json")
    assert said.code == 0
    assert said.document["folder"] == str(tmp_path / "weather")
    assert "manifest.json" in said.document["files"]
    assert said.document["next"][0] == f"upgrade-loop plugin verify {tmp_path / 'weather'}"
    again = line("new", "weather", "--into", str(tmp_path), "--json")
    assert again.code == 2
    assert "is there already" in again.document["error"]["message"]


def test_a_tier_is_named_for_a_plugin_of_the_houses_own_kind_only(line: Line, tmp_path: Path) -> None:
    assert line("new", "weather", "--into", str(tmp_path), "--isolation", "wasm", "--json").code == 0
    manifest = json.loads((tmp_path / "weather" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["security_profile"]["isolation"] == "wasm"
    said = line("new", "tools", "--into", str(tmp_path), "--command", "server", "--isolation", "wasm", "--json")
    assert (said.code, (tmp_path / "tools").exists()) == (2, False)


def test_a_foreign_server_is_made_a_plugin(line: Line, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "server.py").write_text(server("2025-11-25"), encoding="utf-8")
    command = "{python} {package}/server.py"
    arguments = ("new", "tools", "--into", str(tmp_path), "--command", command, "--files", str(tmp_path / "files"))
    assert line(*arguments, "--json").code == 0
    called = line("call", "tools__add", '{"a": 2, "b": 3}', "--plugin", str(tmp_path / "tools"), "--json")
    assert (called.code, called.document["result"]) == (0, {"sum": 5})


def test_packing_twice_gives_the_same_file(line: Line, weather: Path, tmp_path: Path) -> None:
    first = line("pack", str(weather), "--out", str(tmp_path / "one"), "--json").document
    second = line("pack", str(weather), "--out", str(tmp_path / "two"), "--json").document
    assert first["sha256"] == second["sha256"]
    assert Path(first["archive"]).read_bytes() == Path(second["archive"]).read_bytes()
    assert (first["id"], first["files"]) == ("weather@1.0.0", 5)


def test_a_sound_plugin_is_verified_by_five_checks(line: Line, weather: Path) -> None:
    said = line("verify", str(weather), "--json")
    assert (said.code, said.document["passed"]) == (0, True)
    assert [check["name"] for check in said.document["checks"]] == [
        "code_signing",
        "static_analysis",
        "dependency_scan",
        "permission_scope",
        "network_access",
    ]
    assert [report["phase"] for report in said.document["phases"]] == ["contract", "security", "dependencies"]


def test_a_plugin_that_does_what_it_does_not_say_is_not_verified(line: Line, weather: Path) -> None:
    code = weather / "plugin.py"
    code.write_text("import subprocess\n" + code.read_text(encoding="utf-8"), encoding="utf-8")
    said = line("verify", str(weather), "--json")
    assert (said.code, said.document["passed"]) == (1, False)
    findings = [finding for check in said.document["checks"] for finding in check["findings"]]
    assert any(finding["file"] == "plugin.py" and finding["line"] == 1 for finding in findings)


def test_a_call_without_an_installation_leaves_nothing_behind(line: Line, weather: Path, tmp_path: Path) -> None:
    called = line("call", "weather__greet", '{"name": "Ada"}', "--plugin", str(weather), "--json")
    assert (called.code, called.document["ok"], called.document["result"]) == (0, True, {"greeting": "Hello, Ada!"})
    assert not (tmp_path / "home").exists()
    failed = line("call", "weather__greet", '{"name": "  "}', "--plugin", str(weather), "--json")
    assert (failed.code, failed.document["error"]) == (1, "tool_error")
    assert "say whom to greet" in failed.document["message"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("call", "weather", "{}"), "'weather' is no tool"),
        (("call", "weather__greet", "{"), "no JSON"),
        (("call", "weather__greet", "[]"), "no JSON object"),
        (("call", "weather__greet", "{}"), "Nobody serves weather"),
        (("install", "nowhere"), "no package nowhere"),
        (("verify", "nowhere"), "no package nowhere"),
        (("pack", "nowhere"), "no folder nowhere"),
        (("retire", "weather"), "no plugin weather"),
        (("new", "No Name"), "no name for a plugin"),
        (("install", "nowhere", "--as", "stranger"), "stranger has no role"),
    ],
)
def test_what_is_wrong_is_told_in_one_document(line: Line, arguments: tuple[str, ...], told: str) -> None:
    said = line(*arguments, "--json")
    assert said.code == 2
    assert told in said.document["error"]["message"]
    assert said.document["error"]["hint"]


def test_without_a_gateway_a_plugin_is_installed_for_the_next_one(line: Line, weather: Path, tmp_path: Path) -> None:
    installed = line("install", str(weather), "--json")
    assert (installed.code, installed.document["installed"], installed.document["gateway"]) == (0, True, False)
    assert installed.document["loaded"]["serving"] == {"weather": 1.0}
    assert "as soon as one does" in installed.document["message"]
    (row,) = line("list", "--json").document["plugins"]
    assert (row["id"], row["standing"], row["serving"]) == ("weather@1.0.0", "installed", {"weather": 1.0})
    assert line("call", "weather__greet", '{"name": "Bob"}', "--json").document["result"] == {"greeting": "Hello, Bob!"}
    assert audit(tmp_path, "weather@1.0.0") == [("owner", "plugin.registered"), ("owner", "plugin.installed")]


def test_a_version_that_breaks_its_callers_is_refused_and_compare_shows_why(line: Line, weather: Path) -> None:
    line("install", str(weather))
    narrow = another_version(weather, "1.1.0", **{'"maxLength": 80': '"maxLength": 10'})
    compared = line("compare", str(weather), str(narrow), "--json")
    assert (compared.code, compared.document["verdict"]) == (1, "breaking")
    (breach,) = compared.document["changes"][0]["breaches"]
    assert (breach["path"], breach["rule"]) == ("$.name", "maxLength")
    assert len(breach["example"]["name"]) > 10
    refused = line("install", str(narrow), "--json")
    assert (refused.code, refused.document["installed"]) == (1, False)
    assert refused.document["registration"]["failed_phase"] == "contract"
    assert line("compare", str(weather), str(another_version(weather, "1.2.0")), "--json").code == 0


def test_a_plugin_may_be_registered_without_callers(line: Line, weather: Path) -> None:
    said = line("install", str(weather), "--register-only", "--json").document
    assert (said["installed"], said["loaded"]) == (True, None)
    (row,) = line("list", "--json").document["plugins"]
    assert (row["standing"], row["serving"]) == ("experimental", {})


def test_a_retired_plugin_serves_nobody_and_a_purged_one_is_gone(line: Line, weather: Path, tmp_path: Path) -> None:
    line("install", str(weather))
    retired = line("retire", "weather", "--json")
    assert (retired.code, retired.document["out_of_service"]) == (0, ["weather"])
    (row,) = line("list", "--json").document["plugins"]
    assert (row["standing"], row["serving"]) == ("deprecated", {})
    assert line("retire", "weather@1.0.0", "--purge", "--json").document["purged"] is True
    assert line("list", "--json").document["plugins"] == []
    assert [action for _, action in audit(tmp_path, "weather@1.0.0")][-2:] == ["plugin.retired", "plugin.purged"]


def test_people_are_told_in_words(line: Line, weather: Path) -> None:
    assert "weather@1.0.0 serves weather (100%)" in line("install", str(weather)).out.replace("\n", " ")
    assert "weather@1.0.0" in line("list").out
    assert "Hello, Ada!" in line("call", "weather__greet", '{"name": "Ada"}').out
    assert "keeps the callers" in line("compare", str(weather), str(weather)).out
    assert "is retired" in line("retire", "weather").out


@contextlib.contextmanager
def running_gateway(home: Path) -> Iterator[str]:
    """Run a gateway process of a home and yield its door."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("UPGRADE_LOOP_")}
    command = [sys.executable, "-m", "worker.cli", "gateway", "--home", str(home)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(Exception):
                yield read_address(Home(home)).door
                return
            assert process.poll() is None
            threading.Event().wait(0.1)
        raise AssertionError("the gateway did not come up")
    finally:
        process.terminate()
        process.communicate(timeout=30)


async def answer(door: str, tool: str, arguments: dict[str, Any]) -> Any:
    async with Agent(door) as agent:
        return (await agent.call(tool, arguments)).get("structuredContent")


def test_with_a_gateway_an_agent_meets_the_plugin_at_once(line: Line, weather: Path, tmp_path: Path) -> None:
    better = another_version(weather, "1.1.0", Hello="Good day", HELLO="GOOD DAY")
    with running_gateway(tmp_path / "home") as door:
        installed = line("install", str(weather), "--json")
        assert (installed.code, installed.document["gateway"]) == (0, True)
        assert asyncio.run(answer(door, "weather__greet", {"name": "Ada"})) == {"greeting": "Hello, Ada!"}
        swapped = line("install", str(better), "--strategy", "blue_green", "--window", "0.5", "--json").document
        assert swapped["loaded"]["replaced"]["weather"]["version"] == "1.0.0"
        assert asyncio.run(answer(door, "weather__greet", {"name": "Ada"})) == {"greeting": "Good day, Ada!"}
        assert line("call", "weather__greet", '{"name": "Eve"}', "--json").document["version"] == "weather@1.1.0"
        rows = {row["id"]: row["standing"] for row in line("list", "--json").document["plugins"]}
        assert rows == {"weather@1.1.0": "installed", "weather@1.0.0": "deprecated"}
        line("retire", "weather@1.1.0")
        assert asyncio.run(answer(door, "weather__greet", {"name": "Ada"})) is None
