#!/usr/bin/env python3
"""Spec 10.1, way in - decides which environment a command runs in, and makes it when it is not there yet.

    python run.py test [pytest arguments]     the test suite
    python run.py <arguments>                 the command line: `python run.py demo`, `python run.py --help`

Rules:
- Nothing but Python's own library is needed here, and Python 3.11 or newer.
- The environment is the folder `.venv` beside this file. It is made at first use, with `uv` when that is on PATH and
  with pip otherwise, and made anew when the dependencies, the Python or the folder's place have changed.
- A mark inside it, written last, says that it is whole. Work that was cut short leaves no such mark.
- One process makes it at a time; the others wait. A process that dies gives way by dying.
- A `.venv` that somebody else made is added to and never cleared.
- Progress goes to stderr; stdout belongs to the command.

Not here: what the commands do (`worker/cli.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parent
OLDEST = (3, 11)
GROUP = "dev"
MARK = ".upgrade-loop"
UNFINISHED = "unfinished"
SHARED = "shared"
PATIENCE_SECONDS = 1_800
TAIL_LINES = 30
SHOWN = 79
"""A line of a terminal: an older console of Windows does not obey the sequence that clears one."""


class SetupFailed(Exception):
    """The environment could not be made; the message says why and what to do."""


def main(arguments: Sequence[str]) -> int:
    """Run one command in the environment and return its exit code."""
    version = sys.version_info[:2]
    if version < OLDEST:
        say(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed; this is {version[0]}.{version[1]} ({sys.executable}).")
        return 2
    try:
        python = prepare(ROOT)
    except SetupFailed as failure:
        say(str(failure))
        return 3
    except KeyboardInterrupt:
        say("interrupted; the next start goes on from here.")
        return 130
    if arguments and arguments[0] == "test":
        os.chdir(ROOT)
        return hand_over([str(python), "-m", "pytest", *with_workers(arguments[1:])])
    return hand_over([str(python), "-m", "worker.cli", *arguments])


def with_workers(arguments: Sequence[str]) -> list[str]:
    """Return pytest's arguments with two worker processes unless the caller says how many."""
    chosen = any(a.startswith(("-n", "--numprocesses")) or a in {"--pdb", "no:xdist"} for a in arguments)
    return list(arguments) if chosen else ["-n", "2", *arguments]


def prepare(root: Path) -> Path:
    """Return the Python of the environment, which is made first if it is missing or out of date.

    Raises:
        SetupFailed: it cannot be made.
    """
    environment = root / ".venv"
    wanted = fingerprint(root)
    if not is_whole(environment, wanted):
        with only_one(root / ".venv.lock") as lock:
            if not is_whole(environment, wanted):
                make(root, wanted, lock)
    return python_of(environment)


def fingerprint(root: Path) -> str:
    """Return a hash of everything that the environment's content follows from."""
    digest = hashlib.sha256(f"{sys.version}\n{root}\n".encode())
    for name in ("pyproject.toml", "constraints.txt"):
        file = root / name
        digest.update(file.read_bytes() if file.is_file() else b"\0")
    return digest.hexdigest()


def is_whole(environment: Path, wanted: str) -> bool:
    """Say whether the environment was finished for exactly this fingerprint."""
    return python_of(environment).is_file() and read_mark(environment).endswith(wanted)


def read_mark(environment: Path) -> str:
    """Return what the environment says about itself; nothing when this program did not make it."""
    try:
        return (environment / MARK).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def write_mark(environment: Path, text: str) -> None:
    """Say something about the environment, in one step."""
    draft = environment / f"{MARK}.new"
    draft.write_text(text + "\n", encoding="ascii")
    draft.replace(environment / MARK)


def python_of(environment: Path) -> Path:
    """Return where an environment keeps its Python."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[int]:
    """Hold the lock while the block runs; the operating system takes it back from a process that dies.

    Raises:
        SetupFailed: another process has kept it for half an hour.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    with path.open("a+b") as file:
        told = False
        while not try_lock(file):
            if not told:
                say("another start is making the environment; waiting for it.")
                told = True
            if time.monotonic() > deadline:
                raise SetupFailed(f"another start has held {path} for {PATIENCE_SECONDS // 60} minutes; end it first.")
            time.sleep(0.2)
        yield file.fileno()


def try_lock(file: IO[bytes]) -> bool:
    """Take the lock of an open file if nobody has it; closing the file gives it back."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def make(root: Path, wanted: str, lock: int) -> None:
    """Fill the environment with what pyproject.toml asks for, and mark it as whole.

    Every installer inherits the lock, so that no other start begins while an orphaned one still writes.
    """
    environment = root / ".venv"
    say(f"making the environment in {environment} (first use: a minute or two).")
    started = time.monotonic()
    requirements = read_requirements(root / "pyproject.toml")
    shared = claim(environment)
    if not with_uv(root, requirements, lock):
        with_pip(root, requirements, lock)
    write_shortcuts(root)
    write_mark(environment, f"{SHARED} {wanted}" if shared else wanted)
    say(f"the environment is ready after {time.monotonic() - started:.0f} s.")


def claim(environment: Path) -> bool:
    """Empty an environment that is ours, or start a new one; say whether somebody else made it.

    Raises:
        SetupFailed: something still runs from it.
    """
    mark = read_mark(environment)
    if environment.exists() and (not mark or mark.startswith(SHARED)):
        return True
    try:
        environment.mkdir(exist_ok=True)
        write_mark(environment, UNFINISHED)
        for entry in environment.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != MARK:
                entry.unlink()
    except OSError as error:
        raise SetupFailed(
            f"{environment} is in use and cannot be made anew ({error}); end what runs from it."
        ) from None
    return False


def read_requirements(pyproject: Path) -> list[str]:
    """Return the application's requirements and those of its development group."""
    import tomllib

    try:
        document = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SetupFailed(f"{pyproject} cannot be read: {error}") from None
    groups = document.get("dependency-groups", {})
    return [*document.get("project", {}).get("dependencies", []), *members(groups, GROUP)]


def members(groups: Mapping[str, list[object]], name: str) -> list[str]:
    """Return the requirements of a dependency group, included groups opened (PEP 735)."""
    found: list[str] = []
    for item in groups.get(name, []):
        if isinstance(item, dict):
            found.extend(members(groups, str(item.get("include-group", ""))))
        else:
            found.append(str(item))
    return found


def with_uv(root: Path, requirements: Sequence[str], lock: int) -> bool:
    """Make the environment with uv; say whether that worked."""
    uv = shutil.which("uv")
    if uv is None:
        return False
    environment = root / ".venv"
    try:
        run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(environment)], lock)
        if requirements:
            python = str(python_of(environment))
            run([uv, "pip", "install", "--python", python, *as_files(root, requirements)], lock)
    except SetupFailed as failure:
        say(f"uv could not do it, so pip will try. {failure}")
        return False
    return True


def with_pip(root: Path, requirements: Sequence[str], lock: int) -> None:
    """Make the environment with Python's own tools; pip reads its own configuration, indexes and proxies included."""
    environment = root / ".venv"
    try:
        run([sys.executable, "-m", "venv", str(environment)], lock)
    except SetupFailed as failure:
        hint = "On Debian and Ubuntu install the package python3-venv, or put `uv` on PATH."
        raise SetupFailed(f"{failure}\n{hint}") from None
    if requirements:
        pip = [str(python_of(environment)), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        run([*pip, *as_files(root, requirements)], lock)


def as_files(root: Path, requirements: Sequence[str]) -> list[str]:
    """Return the installer's arguments; in files, because cmd.exe would read `<` and `>` as redirections."""
    wanted = root / ".venv" / "requirements.txt"
    wanted.write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
    constraints = root / "constraints.txt"
    return ["-r", str(wanted), *(["-c", str(constraints)] if constraints.is_file() else [])]


def run(command: Sequence[str], lock: int) -> None:
    """Run one step of the making, and show which package it is at.

    Raises:
        SetupFailed: it did not end well; the message carries the end of its output.
    """
    inherited = () if sys.platform == "win32" else (lock,)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", pass_fds=inherited
    ) as process:
        assert process.stdout is not None
        tail: deque[str] = deque(maxlen=TAIL_LINES)
        for line in process.stdout:
            tail.append(line.rstrip())
            show(tail[-1])
    show("")
    if process.returncode != 0:
        raise SetupFailed("\n".join([f"`{' '.join(command)}` ended with {process.returncode}:", *tail]))


def write_shortcuts(root: Path) -> None:
    """Let the environment find the application from any folder, and give it the command `upgrade-loop`.

    Both files are pure ASCII wherever the project lies: Python and cmd.exe read them in code pages of their own.
    """
    environment = root / ".venv"
    places = {"base": str(environment), "platbase": str(environment)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=places))
    (packages / "upgrade_loop.pth").write_text(f"{os.path.relpath(root, packages)}\n", encoding="ascii")
    python = python_of(environment)
    if sys.platform == "win32":
        script = f'@"%~dp0{python.name}" -m worker.cli %*\r\n'
        (python.parent / "upgrade-loop.cmd").write_text(script, encoding="ascii", newline="")
    else:
        command = python.parent / "upgrade-loop"
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} -m worker.cli "$@"\n', encoding="utf-8")
        command.chmod(0o755)


def hand_over(command: Sequence[str]) -> int:
    """Become the command, or where that is not possible wait for it; return its exit code."""
    if sys.platform == "win32":
        process = subprocess.Popen(command)
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # the child gets the key press too, and decides
                return process.wait()
    else:
        return become(command)


def become(command: Sequence[str]) -> NoReturn:
    """Let the command take this process over, its signals and terminal included."""
    sys.stdout.flush()
    os.execv(command[0], list(command))  # noqa: S606 - a shell between them would eat the signals


def say(text: str) -> None:
    """Tell the person at the terminal."""
    sys.stderr.write(f"run.py: {text}\n")
    sys.stderr.flush()


def show(line: str) -> None:
    """Show on a terminal, and only there, what is being done right now."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{line[:SHOWN]:<{SHOWN}}")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
