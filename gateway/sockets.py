"""Spec 10.1, listening sockets - decides how a listening socket outlives the process that serves it.

Rules:
- The supervisor binds the socket and keeps it; the gateway is started with a copy. While the gateway is down, agents'
  connections wait in the system's queue instead of being refused.
- POSIX: the copy is an inherited descriptor whose number stands in the environment.
- Windows: the socket is shared with the child's process id, and the share is written to the child's stdin. The child is
  the Python behind an environment's `python.exe`, which itself would only start that Python, under another id.
- A socket says that it is TCP. asyncio turns Nagle's algorithm off only for such ones, and with it on, every answer
  that leaves in two parts waits 40 ms for the client's delayed acknowledgement.

Not here: when a gateway is started again (`worker/`).
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from domain.errors import InvalidInput

VARIABLE = "UPGRADE_LOOP_SOCKETS"
QUEUE_LENGTH = 2048
_IN_USE = frozenset({errno.EADDRINUSE, errno.EACCES, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE)})


def bind(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket.

    Args:
        host: address or name to listen on.
        port: 0 for any free one.

    Raises:
        InvalidInput: the port is taken, or the host is not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(QUEUE_LENGTH)
    except OSError as error:
        listening.close()
        if error.errno in _IN_USE:
            raise InvalidInput(
                f"Port {port} on {host} is in use or not permitted.",
                hint="Stop what listens there, choose another port in the settings, or take 0 for any free one.",
                details={"host": host, "port": port},
            ) from error
        raise InvalidInput(
            f"Cannot listen on {host}:{port}: {error.strerror or error}.",
            hint="Set `gateway.host` to an address of this machine, 127.0.0.1 for example.",
            details={"host": host, "port": port},
        ) from error
    listening.setblocking(False)
    return listening


def url_of(listening: socket.socket) -> str:
    """Return `http://host:port` under which the socket is reached from this machine."""
    host, port = listening.getsockname()[:2]
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared with, not bound to
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def hand_over(
    command: Sequence[str],
    sockets: Sequence[socket.socket],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process that takes over copies of the sockets with `take_over`; the originals stay open here.

    Args:
        command: program and arguments.
        sockets: listening sockets, in the order in which the child takes them.
        folder: where the child runs; where this process does when None.
        environment: of the child; this process's when None.
        output: where the child's stdout and stderr go; this process's when None.
    """
    variables = dict(os.environ if environment is None else environment)
    if sys.platform == "win32":
        command, more = unwrapped(command, sys.executable, getattr(sys, "_base_executable", sys.executable))
        variables |= {**more, VARIABLE: f"stdin:{len(sockets)}"}
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
        )
        assert child.stdin is not None
        with contextlib.suppress(OSError), child.stdin:  # a child that is dead already is its supervisor's affair
            for listening in sockets:
                child.stdin.write(base64.b64encode(listening.share(child.pid)) + b"\n")
        return child
    descriptors = [listening.fileno() for listening in sockets]
    variables[VARIABLE] = ",".join(map(str, descriptors))
    return subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        pass_fds=descriptors,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
    )


def unwrapped(command: Sequence[str], wrapper: str, python: str) -> tuple[list[str], dict[str, str]]:
    """Return a command, and what to add to its environment, so that the started process is itself the Python.

    Args:
        command: program and arguments.
        wrapper: the `python.exe` of an environment.
        python: the Python it starts; told by whom it is started, it knows the environment.
    """
    if command[0] != wrapper or wrapper == python:
        return list(command), {}
    return [python, *command[1:]], {"__PYVENV_LAUNCHER__": wrapper}


def take_over() -> list[socket.socket]:
    """Return the sockets this process was started with, in order; none if it was started alone."""
    given = os.environ.pop(VARIABLE, "")
    if not given:
        return []
    if sys.platform == "win32":
        count = int(given.removeprefix("stdin:"))
        taken = [socket.fromshare(base64.b64decode(sys.stdin.buffer.readline())) for _ in range(count)]
    else:
        taken = [socket.socket(fileno=int(number)) for number in given.split(",")]
    for listening in taken:
        listening.setblocking(False)
    return taken
