"""Appendix B, command line - decides how a wrong line ends: with a sentence and code 2, never with a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

WRONG = {
    "nonsense": "No such command 'nonsense'.",
    "cycle nonsense": "No such command 'nonsense'.",
    "upgrades show": "Missing argument",
    "demo --seconds soon": "number",
    "demo --pace 3": "No such option",
    "cycle status cycle-nobody-knows": "cycle-nobody-knows",
    "config check no-such-file.yaml": "no-such-file.yaml",
}


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "worker.cli", "--home", str(home), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("line", "said"), WRONG.items(), ids=WRONG.keys())
def test_a_wrong_line_ends_with_code_2_and_one_sentence(line: str, said: str, tmp_path: Path) -> None:
    done = run(tmp_path, *line.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("upgrade-loop: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_with_json_a_wrong_line_is_one_document(tmp_path: Path) -> None:
    done = run(tmp_path, "cycle", "nonsense", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"].keys() == {"code", "message", "hint", "details"}


def test_a_bare_command_shows_what_there_is(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 2
    assert "demo" in done.stdout


def test_without_a_service_the_code_is_3(tmp_path: Path) -> None:
    done = run(tmp_path, "cycle", "trigger", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["hint"]
