"""Appendix B, command line - decides what the command line says, and how it ends, while no service runs.

Failures are one line on stderr, or one JSON document with `--json`; never a traceback, and nothing is left half made.

Not here: what needs Temporal (`tests/worker/test_temporal_commands.py`).
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.home import Home
from domain.cycles import CycleStatus
from domain.upgrades import UpgradeStatus
from store.database import open_store
from tests.house.source import ROOT
from tests.store.factories import NOON, cycle, opportunity, upgrade
from worker.cli import main
from worker.commands.session import SESSION

ADDRESS = "UPGRADE_LOOP_TEMPORAL__ADDRESS"


@dataclass(frozen=True)
class Answer:
    """How a command line ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error of the one JSON document on stdout."""
        found: dict[str, Any] = self.document["error"]
        assert list(found) == ["code", "message", "hint", "details"]
        return found


def run(home: Path, *arguments: str, **environment: str) -> Answer:
    """Run a command line as a process of its own."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("UPGRADE_LOOP_")}
    command = [sys.executable, "-m", "worker.cli", "--home", str(home), *arguments]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={**inherited, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return Answer(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs a command line inside this process: the same `main`, without the wait for imports."""
    for variable in [name for name in os.environ if name.startswith("UPGRADE_LOOP_")]:
        monkeypatch.delenv(variable)

    def inside(*arguments: str) -> Answer:
        SESSION.as_json, SESSION.code = False, 0
        capsys.readouterr()
        code = main(["--home", str(tmp_path / "home"), *arguments])
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return inside


@pytest.fixture
def filled(tmp_path: Path) -> Home:
    """A home in which something happened."""
    home = Home(tmp_path / "home").create()
    store = open_store(home.database_url)
    store.cycles.put(cycle(1, status=CycleStatus.SUCCESS, patterns=3))
    store.opportunities.put(opportunity("slower-idea", score=0.2))
    store.opportunities.put(opportunity("better-idea", score=0.9))
    store.upgrades.put(upgrade(1, status=UpgradeStatus.DEPLOYED, reason="all stages passed"))
    for number in (1, 2, 3):
        store.audit.append(
            key=f"k{number}", at=NOON, actor="loop", action="upgrade.opened", subject="upgrade-1", detail={}
        )
    store.close()
    return home


def test_a_document_is_utf_8_whatever_the_systems_code_page(tmp_path: Path) -> None:
    home = tmp_path / "\u0434\u043e\u043c"
    home.touch()
    answer = run(home, "--json", "cycle", "list", PYTHONIOENCODING="cp1252")
    assert answer.code == 2
    assert str(home) in answer.error["message"]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize(
    "command",
    [
        "",
        "demo",
        "up",
        "worker",
        "gateway",
        *(f"cycle {verb}" for verb in ("", "trigger", "status", "list")),
        *(f"opportunities {verb}" for verb in ("", "list", "approve", "reject")),
        *(f"upgrades {verb}" for verb in ("", "history", "show", "rollback")),
        *(f"rollouts {verb}" for verb in ("", "show", "pause", "resume", "promote", "abort")),
        *(f"config {verb}" for verb in ("", "show", "check", "apply")),
        *(f"plugin {v}" for v in ("", "new", "pack", "verify", "compare", "install", "list", "call", "retire")),
        *(f"audit {verb}" for verb in ("", "verify", "show")),
    ],
)
def test_everything_has_help(here: Any, tmp_path: Path, command: str) -> None:
    answer = here(*command.split(), "--help")

    assert answer.code == 0
    assert f"upgrade-loop {command}".rstrip() in answer.out
    assert not (tmp_path / "home").exists()


def test_the_version_is_the_projects(here: Any) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert here("--version").out == f"upgrade-loop {project['version']}\n"
    assert here("--version", "--json").document == {"version": project["version"]}


def test_no_command_at_all_is_answered_with_help(here: Any) -> None:
    assert here().code == 0
    assert "Usage" in here().out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "No such command 'nonsense'."),
        ("cycle", "Missing command."),
        ("cycle nonsense", "No such command 'nonsense'."),
        ("cycle status", "Missing argument 'ID'."),
        ("cycle list --limit many", "'--limit'"),
        ("cycle list --limit 0", "'--limit'"),
        ("cycle list --nonsense", "--nonsense"),
        ("opportunities list --status nonsense", "nonsense"),
        ("opportunities reject one", "--reason"),
        ("upgrades rollback one --type nonsense", "nonsense"),
        ("up --gateway-port 99999", "'--gateway-port'"),
        ("cycle status nonsense", "There is no 'nonsense' among the cycles."),
        ("upgrades show nonsense", "There is no 'nonsense' among the upgrades."),
        ("rollouts show nonsense", "There is no 'rollout-nonsense' among the rollouts."),
        ("config check nonsense.yaml", "There is no file nonsense.yaml."),
        ("config apply nonsense.yaml --as stranger", "stranger"),
        ("up --agent nonsense", "is no agent's folder"),
    ],
)
def test_wrong_input_is_one_line_or_one_document_and_ends_with_two(here: Any, line: str, said: str) -> None:
    answer = here(*line.split())
    as_json = here(*line.split(), "--json")

    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert answer.err.startswith("upgrade-loop: ")
    assert said in answer.err
    assert (as_json.code, as_json.err) == (2, "")
    assert said in as_json.error["message"]
    assert as_json.error["hint"]


def test_the_settings_in_force_are_shown(here: Any) -> None:
    shown = here("config", "show", "--json").document
    for_a_person = yaml.safe_load(here("config", "show").out)

    assert shown == for_a_person
    assert shown["self_upgrading_loop"]["cycle"]["interval_minutes"] == 60


def test_a_sound_file_is_applied_and_remembered(here: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("self_upgrading_loop:\n  cycle:\n    interval_minutes: 5\n", encoding="utf-8")

    assert here("config", "check", str(file), "--json").document == {"ok": True, "file": str(file)}
    assert here("config", "apply", str(file), "--json").document["applied"] is True
    assert here("config", "show", "--json").document["self_upgrading_loop"]["cycle"]["interval_minutes"] == 5
    (entry,) = here("audit", "show", "--json").document["entries"]
    assert (entry["action"], entry["actor"]) == ("settings.changed", "owner")


def test_a_file_that_does_not_pass_changes_nothing(here: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("self_upgrading_loop:\n  cycle:\n    interval_minuts: 5\n", encoding="utf-8")

    for verb in ("check", "apply"):
        answer = here("config", verb, str(file))
        assert answer.code == 2
        assert "the nearest known key is self_upgrading_loop.cycle.interval_minutes" in answer.err
    assert not (tmp_path / "home" / "config" / "self_upgrading_loop_config.yaml").exists()


def test_opportunities_are_listed_best_first(here: Any, filled: Home) -> None:
    found = here("opportunities", "list", "--json").document["opportunities"]

    assert [one["id"] for one in found] == ["better-idea", "slower-idea"]
    assert here("opportunities", "list", "--status", "rejected", "--json").document == {"opportunities": []}
    assert "better-idea" in here("opportunities", "list").out


def test_cycles_are_listed_and_shown_phase_by_phase(here: Any, filled: Home) -> None:
    (listed,) = here("cycle", "list", "--json").document["cycles"]
    shown = here("cycle", "status", "cycle-1", "--json").document

    assert listed == shown
    assert (shown["id"], shown["status"], shown["patterns"]) == ("cycle-1", "success", 3)
    assert all({"name", "status", "seconds"} <= phase.keys() for phase in shown["phases"])
    assert "cycle-1: success" in here("cycle", "status", "cycle-1").out


def test_upgrades_are_listed_and_shown_with_their_audit_entries(here: Any, filled: Home) -> None:
    (listed,) = here("upgrades", "history", "--json").document["upgrades"]
    shown = here("upgrades", "show", "upgrade-1", "--json").document

    assert (listed["id"], listed["status"], listed["to_version"]) == ("upgrade-1", "deployed", "text_tools@1.1.0")
    assert {**listed, "audit": shown["audit"]} == shown
    assert len(shown["audit"]) == 3
    assert "all stages passed" in here("upgrades", "show", "upgrade-1").out


def test_an_unbroken_audit_log_is_proved(here: Any, filled: Home) -> None:
    answer = here("audit", "verify", "--json")

    assert answer.code == 0
    assert (answer.document["entries"], answer.document["ok"], answer.document["first_bad"]) == (3, True, None)
    assert here("audit", "verify").out == "3 entries, unbroken.\n"


def test_a_changed_audit_entry_is_found_and_the_answer_is_no(here: Any, filled: Home) -> None:
    with closing(sqlite3.connect(filled.root / "loop.db")) as database, database:
        database.execute("DROP TRIGGER audit_entries_update")
        database.execute("UPDATE audit_entries SET actor = 'nobody' WHERE sequence = 2")

    answer = here("audit", "verify", "--json")

    assert answer.code == 1
    assert (answer.document["ok"], answer.document["first_bad"]) == (False, 2)
    assert here("audit", "verify").code == 1


@pytest.mark.parametrize("line", ["cycle list", "opportunities list", "upgrades history", "audit verify", "worker"])
def test_a_damaged_database_is_told_and_left_as_it_is(here: Any, tmp_path: Path, line: str) -> None:
    home = Home(tmp_path / "home").create()
    (home.root / "loop.db").write_bytes(b"no database at all" * 100)

    answer = here(*line.split())
    as_json = here(*line.split(), "--json")

    assert answer.code == as_json.code == 3
    assert answer.err.count("\n") == 1
    assert f"{home.root / 'loop.db'} is not a SQLite database" in answer.err
    assert as_json.error["code"] == "store_unusable"
    assert (home.root / "loop.db").read_bytes() == b"no database at all" * 100


@pytest.mark.parametrize("line", ["cycle list", "config show", "audit verify", "up", "gateway"])
def test_a_home_that_is_a_file_is_told_and_left_as_it_is(here: Any, tmp_path: Path, line: str) -> None:
    (tmp_path / "home").write_text("I am a file", encoding="utf-8")

    for place in (tmp_path / "home", tmp_path / "home" / "inside"):
        answer = here(*line.split(), "--home", str(place))
        assert (answer.code, answer.out) == (2, "")
        assert f"The home {place} cannot be used: {tmp_path / 'home'} is a file." in answer.err
    assert (tmp_path / "home").read_text(encoding="utf-8") == "I am a file"


def test_home_and_json_may_stand_anywhere(here: Any, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"

    assert here("--json", "cycle", "list", f"--home={elsewhere}").document == {"cycles": []}
    assert (elsewhere / "loop.db").exists()
    assert "--home needs a folder" in here("cycle", "list", "--home").err


def test_a_process_of_its_own_answers_in_the_same_way(tmp_path: Path) -> None:
    wrong = run(tmp_path / "home", "nonsense")
    known = run(tmp_path / "home", "cycle", "list", "--json")

    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err == "upgrade-loop: No such command 'nonsense'. `upgrade-loop --help` shows what there is.\n"
    assert (known.code, known.document, known.err) == (0, {"cycles": []}, "")


def test_a_temporal_service_that_does_not_answer_is_told(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    answer = run(tmp_path / "home", "cycle", "trigger", **{ADDRESS: address})
    as_json = run(tmp_path / "home", "cycle", "trigger", "--json", **{ADDRESS: address})

    assert answer.code == as_json.code == 3
    assert answer.err.startswith(f"upgrade-loop: No Temporal Service answers at {address}.")
    assert answer.err.count("\n") == 1
    assert as_json.error["code"] == "temporal_unreachable"


def test_an_occupied_port_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        answer = run(tmp_path / "home", "up", "--gateway-port", port)

    assert (answer.code, answer.out) == (2, "")
    assert port in answer.err
    assert answer.err.count("\n") == 1
    started = ("stack.json", "processes.json", "temporal.db", "gateway.json")
    assert not any((tmp_path / "home" / name).exists() for name in started)


def test_up_without_a_temporal_program_says_how_to_get_one(tmp_path: Path) -> None:
    """The program is looked for beside Python too, so Python is run through a link in a folder of its own."""
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    script = (
        f"import sys; sys.executable = {str(nowhere / 'python')!r}; sys.argv = ['x', '--home', "
        f"{str(tmp_path / 'home')!r}, 'up']; import runpy; runpy.run_module('worker.cli', run_name='__main__')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PATH": str(nowhere)},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.startswith("upgrade-loop: No `temporal` program was found")
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "home" / "stack.json").exists()
