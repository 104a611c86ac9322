"""Spec 10.1, supervision - decides how one process is kept running until it is told to stop.

Rules:
- A process that ends by itself is started again, after a pause that doubles from one second to a minute.
- A process that ran for ten minutes was healthy: the next pause is short again.
- Asked to stop, it gets the polite signal first (SIGTERM; Ctrl+Break on Windows) and is ended only after the grace.
  On Windows it leads a group of its own on the same console: the key press reaches it and nobody else.
- The pause and the grace end early when there is nothing left to wait for.

Not here: who asks (`worker/windows_service.py`; systemd and containers do this themselves).
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from gateway.sockets import hand_over

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
HEALTHY_AFTER_SECONDS = 600.0
LOOK_EVERY_SECONDS = 0.2


def next_pause(last: float, ran_for: float) -> float:
    """Return how long to wait before the next start.

    Args:
        last: the pause before the start that has just ended, in seconds; 0 for the first.
        ran_for: how long that run lasted, in seconds.
    """
    if last == 0 or ran_for >= HEALTHY_AFTER_SECONDS:
        return FIRST_PAUSE_SECONDS
    return min(2 * last, LONGEST_PAUSE_SECONDS)


@dataclass
class Supervisor:
    """Keeps one command running.

    Attributes:
        command: program and arguments.
        folder: where it runs.
        environment: its whole environment, None for ours.
        log_file: where its output is appended.
        grace_seconds: how long it may take to stop.
        tell: called with one sentence for every start and unexpected end.
        clock: monotonic seconds.
        sockets: listening sockets that the process takes over at every start.
        pid: of the running process, None while there is none.
    """

    command: Sequence[str]
    folder: Path
    environment: dict[str, str] | None
    log_file: Path
    grace_seconds: float
    tell: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    sockets: Sequence[socket.socket] = ()
    pid: int | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """Ask for the end; `run` returns soon after. May be called from any thread."""
        self._stopping.set()

    def run(self) -> None:
        """Keep the command running; return once `stop` was called and the process is gone."""
        pause = 0.0
        while not self._stopping.is_set():
            started = self.clock()
            code = self._run_once()
            if self._stopping.is_set():
                return
            pause = next_pause(pause, self.clock() - started)
            self.tell(f"{self.command[0]} ended with {code}; it is started again in {pause:g} s.")
            self._stopping.wait(pause)

    def _run_once(self) -> int:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            process = self._start(log)
            self.pid = process.pid
            self.tell(f"started process {process.pid}.")
            while process.poll() is None and not self._stopping.is_set():
                self._stopping.wait(LOOK_EVERY_SECONDS)
            code = end(process, self.grace_seconds)
            self.pid = None
            return code

    def _start(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        if self.sockets:
            return hand_over(self.command, self.sockets, folder=self.folder, environment=self.environment, output=log)
        return start(self.command, self.folder, self.environment, log.fileno())


def start(
    command: Sequence[str], folder: Path, environment: dict[str, str] | None, output: int
) -> subprocess.Popen[bytes]:
    """Start a process that can later be asked to stop without stopping this one."""
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        creationflags=flags,
    )


def end(process: subprocess.Popen[bytes], grace_seconds: float) -> int:
    """Ask a process to stop, end it if it does not, and return its exit code."""
    if process.poll() is None:
        ask_to_stop(process)
        try:
            process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def ask_to_stop(process: subprocess.Popen[bytes]) -> None:
    """Send the polite signal of the platform."""
    if sys.platform == "win32":
        try:
            process.send_signal(signal.CTRL_BREAK_EVENT)
        except OSError:  # this process has no console to press a key on: there is nothing to wait for
            process.kill()
    else:
        process.terminate()
