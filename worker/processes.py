"""Spec 10.1, processes - decides how a process of ours hears that it should stop, and how it leaves.

Rules:
- SIGINT and SIGTERM (on Windows Ctrl+C and Ctrl+Break) ask for a clean stop; asking twice is asking once.
- What a process writes is UTF-8, on every system.
- A process leaves through `leave`: output flushed, then gone. Temporal's native threads may otherwise crash an
  interpreter that is already being torn down (temporalio/sdk-python issue 300).

Not here: starting processes (`worker/supervision.py`).
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
import sys
from typing import NoReturn


def stop_event() -> asyncio.Event:
    """Return an event that is set when the process is asked to stop; needs a running loop."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    if sys.platform == "win32":
        for number in (signal.SIGINT, signal.SIGBREAK):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopping.set))
    else:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopping.set)
    return stopping


def speak_utf8() -> None:
    """Write UTF-8 whatever the system would: a pipe has the code page of a western country on many a Windows."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send logs to stderr, one line an entry."""
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for chatty in ("alembic", "httpx", "httpcore", "temporalio.worker"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def leave(code: int) -> NoReturn:
    """End the process at once with an exit code, output flushed."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 1
    os._exit(code)
