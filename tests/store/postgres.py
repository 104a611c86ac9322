"""A real PostgreSQL server for the tests, if the machine has one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

HOW_TO_INSTALL = "PostgreSQL is not installed: `apt-get install postgresql` (Debian) or `brew install postgresql`"
_START_SECONDS = 30
_SERVER_USER = "postgres"


def binaries() -> Path | None:
    """Return the folder of `initdb` and `postgres`, or None."""
    found = [Path(path).resolve().parent] if (path := shutil.which("initdb")) else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists() or (folder / "initdb.exe").exists()), None)


@contextmanager
def running_server(programs: Path) -> Iterator[str]:
    """Run a server in a folder of its own; give the URL of its first database."""
    folder = Path(tempfile.mkdtemp(prefix="loop-postgres-"))
    user = _user_for(folder)
    data = folder / "data"
    _run([programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"], folder, user)
    port = _free_port()
    options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    options += ["-c", "fsync=off", "-c", "max_connections=200", "-c", "TimeZone=America/New_York"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *options], cwd=folder, stdout=log, stderr=log, user=user
        )
    try:
        url = f"postgresql://tester@127.0.0.1:{port}/postgres"
        _wait_for(url, server, folder / "log")
        yield url
    finally:
        server.terminate()
        server.wait(timeout=_START_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def _user_for(folder: Path) -> str | None:
    """Return the user that the server must run as: it refuses to be root."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    shutil.chown(folder, _SERVER_USER)
    return _SERVER_USER


def _run(command: list[Path | str], folder: Path, user: str | None) -> None:
    subprocess.run(command, cwd=folder, user=user, check=True, capture_output=True, timeout=120)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(url, connect_timeout=1).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')}")
