"""A whole installation as a person starts it: `up` in a process of its own, with the example agent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from config.home import Home
from store.database import Store, open_store

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "examples" / "agent"


@dataclass
class Running:
    """A running installation."""

    home: Home
    addresses: dict[str, Any]
    process: subprocess.Popen[str]
    store: Store

    def pid_of(self, part: str) -> int:
        """Return the process number of `worker`, `gateway` or `temporal`."""
        for child in psutil.Process(self.process.pid).children():
            words = child.cmdline()
            if words[-1] == part or Path(words[0]).name.startswith(part):
                return child.pid
        raise LookupError(part)

    def kill(self, part: str) -> None:
        """End a part as a crash would, and wait until another has taken its place."""
        killed = self.pid_of(part)
        psutil.Process(killed).kill()
        self.until(lambda: self._is_replaced(part, killed))

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run our command line on the installation."""
        return subprocess.run(
            [sys.executable, "-m", "worker.cli", "--home", str(self.home.root), *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not come to pass"
            assert self.process.poll() is None, "up has ended"
            time.sleep(0.1)

    def _is_replaced(self, part: str, killed: int) -> bool:
        try:
            return self.pid_of(part) != killed
        except (LookupError, psutil.Error):
            return False


@contextmanager
def running(root: Path, *words: str, environment: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Start `up` with the example agent in a home of its own, and stop it afterwards as Ctrl+C would."""
    home = Home(root)
    process = subprocess.Popen(
        [sys.executable, "-m", "worker.cli", "--home", str(root), "up", "--agent", str(AGENT), *words],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        store = open_store(home.database_url)
        try:
            yield Running(home, addresses, process, store)
        finally:
            store.close()
    finally:
        process.terminate()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()
