"""Spec 10.1, supervision - decides whether a process is kept running, and ended when asked, with real processes.

Not here: Windows, where the same code runs behind a service.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from worker.supervision import LONGEST_PAUSE_SECONDS, Supervisor, next_pause

POLITE = """
import signal, sys, time
for name in ("SIGTERM", "SIGBREAK"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), lambda *_: (print("bye", flush=True), sys.exit(0)))
print("ready", flush=True)
while True: time.sleep(0.05)
"""
STUBBORN = POLITE.replace(", sys.exit(0)", "")
SHORT = "print('ran', flush=True); raise SystemExit(3)"


@contextmanager
def supervised(program: str, folder: Path, told: list[str], grace: float = 20.0) -> Iterator[Supervisor]:
    """Run a program under supervision in another thread, and see that it ends."""
    supervisor = Supervisor(
        command=[sys.executable, "-c", program],
        folder=folder,
        environment=None,
        log_file=folder / "logs" / "out.log",
        grace_seconds=grace,
        tell=told.append,
    )
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()
        thread.join(30)
    assert not thread.is_alive()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, ten seconds at most."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def said(folder: Path) -> str:
    """Return what the child wrote."""
    log = folder / "logs" / "out.log"
    return log.read_text(encoding="utf-8") if log.exists() else ""


def test_a_process_that_ends_is_started_again(tmp_path: Path) -> None:
    told: list[str] = []
    with supervised(SHORT, tmp_path, told):
        wait_for(lambda: said(tmp_path).count("ran") == 2)

    assert any("ended with 3; it is started again in 1 s." in line for line in told)


def test_asked_to_stop_it_ends_politely_and_is_not_started_again(tmp_path: Path) -> None:
    with supervised(POLITE, tmp_path, []):
        wait_for(lambda: "ready" in said(tmp_path))

    assert said(tmp_path).split() == ["ready", "bye"]


def test_a_process_that_does_not_listen_is_ended_after_the_grace(tmp_path: Path) -> None:
    with supervised(STUBBORN, tmp_path, [], grace=0.3):
        wait_for(lambda: "ready" in said(tmp_path))

    assert said(tmp_path).split() == ["ready", "bye"]


@pytest.mark.parametrize(
    ("last", "ran_for", "pause"),
    [(0, 1, 1), (1, 1, 2), (2, 599, 4), (32, 5, LONGEST_PAUSE_SECONDS), (60, 5, LONGEST_PAUSE_SECONDS), (60, 600, 1)],
)
def test_the_pause_doubles_up_to_a_minute_and_a_healthy_run_forgets_it(
    last: float, ran_for: float, pause: float
) -> None:
    assert next_pause(last, ran_for) == pause
