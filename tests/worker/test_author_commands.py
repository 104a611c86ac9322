"""Spec 3.1, writing a plugin - decides whether the page for plugin authors brings a newcomer to a served tool.

Rules:
- The page's tutorial is followed word by word: its files are written, its changes made, its lines run.
- `python run.py` is this environment's command line, in an empty folder instead of the project's.

Not here: what each command does in detail (`test_plugin_commands.py`), making the environment (`tests/house`).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydantic import JsonValue

from config.home import Home
from gateway.admin_client import read_address
from tests.gateway.factories import Agent
from tests.house.source import ROOT
from worker.cli import main
from worker.commands.session import SESSION

PAGE = ROOT / "docs" / "plugin-authors.md"
FILE = re.compile(r"^`(?P<name>[^`\n]+)`:\n\n```\w+\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
LINES = re.compile(r"^```console\n(?P<lines>.*?)^```", re.MULTILINE | re.DOTALL)
GONE = re.compile(r"Delete `(?P<gone>[^`\n]+)`")
CHANGE = re.compile(r"^Change `(?P<old>[^`\n]+)` to `(?P<new>[^`\n]+)` in `(?P<where>[^`\n]+)`", re.MULTILINE)


def steps() -> Iterator[re.Match[str]]:
    """Yield what the tutorial asks for, in its order."""
    text = (
        PAGE.read_text(encoding="utf-8").partition("<!-- tutorial:start -->")[2].partition("<!-- tutorial:end -->")[0]
    )
    found = [match for pattern in (FILE, LINES, GONE, CHANGE) for match in pattern.finditer(text)]
    yield from sorted(found, key=lambda match: match.start())


@dataclass
class Newcomer:
    """Somebody who does what the page says, in a folder of their own, which is the current one."""

    home: Home
    out: pytest.CaptureFixture[str]
    said: dict[str, str] = field(default_factory=dict)
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def follow(self, step: re.Match[str]) -> None:
        """Do one thing."""
        named = step.groupdict()
        if "lines" in named:
            for line in named["lines"].splitlines():
                self.run(line)
        elif "gone" in named:
            Path(named["gone"]).unlink()
        elif "where" in named:
            text = Path(named["where"]).read_text(encoding="utf-8")
            assert named["old"] in text
            Path(named["where"]).write_text(text.replace(named["old"], named["new"], 1), encoding="utf-8")
        else:
            Path(named["name"]).write_text(named["text"], encoding="utf-8")

    def run(self, line: str) -> None:
        """Run one line; what serves until it is stopped is left running."""
        python, script, *words = shlex.split(line)
        assert (python, script) == ("python", "run.py")
        if words == ["gateway"]:
            self._serve(words)
        elif words[0] == "test":
            self.said[line] = _tested(words[1:])
        else:
            SESSION.as_json, SESSION.code = False, 0
            self.out.readouterr()
            code = main(words)
            told = self.out.readouterr()
            assert code == 0, f"{line}\n{told.out}\n{told.err}"
            self.said[line] = told.out

    def _serve(self, words: list[str]) -> None:
        gateway = [sys.executable, "-m", "worker.cli", *words]
        self.servers.append(subprocess.Popen(gateway, env={**os.environ, "PYTHONPATH": str(ROOT)}))
        deadline = time.monotonic() + 60
        while not (self.home.root / "gateway.json").exists():
            assert self.servers[-1].poll() is None, "the gateway has ended"
            assert time.monotonic() < deadline, "the gateway does not come up"
            time.sleep(0.1)


def _tested(words: list[str]) -> str:
    settings = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(Path.cwd())]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *settings, *words], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.fixture
def newcomer(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Newcomer]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("UPGRADE_LOOP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UPGRADE_LOOP_GATEWAY__PORT", "0")
    somebody = Newcomer(Home(tmp_path / "home"), capsys)
    yield somebody
    for server in somebody.servers:
        server.terminate()
        server.wait(60)


@pytest.mark.timeout(180)
def test_the_page_leads_from_nothing_to_a_served_tool_and_a_second_version(newcomer: Newcomer) -> None:
    for step in steps():
        newcomer.follow(step)
    said = newcomer.said
    assert len(said) == 12
    results = [json.loads(told) for line, told in said.items() if " call " in line]
    assert results == [{"greeting": "Hello, Ada!"}, {"words": 6}, {"words": 6}, {"words": 2}]
    assert "1 passed" in said["python run.py test words/tests"]
    assert "words@1.1.0 keeps the callers of words@1.0.0" in next(said[line] for line in said if " compare " in line)
    assert "words 100%" in said["python run.py plugin list"]
    assert asyncio.run(_asked(newcomer.home)) == {"words": 3}


async def _asked(home: Home) -> JsonValue:
    """Ask as an agent would, through the door."""
    async with Agent(read_address(home).door) as agent:
        result: JsonValue = (await agent.call("words__count", {"text": "a b c"}))["structuredContent"]
        return result
