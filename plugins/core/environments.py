"""Spec 6.1, a plugin's own environment - decides what a plugin can import beside its own code.

Rules:
- A package without a requirements file runs from where it is kept and has the standard library only.
- One with such a file runs from a folder made for it alone: a copy of the package, and its locked wheels in `_site`.
- Only wheels, only by hash, without their dependencies (the lock is complete): nothing foreign runs at installation.
- Wheels that the package brings along in `wheels/` are the only source; without that folder the package index is.
- The folder is finished or not there; it is made read-only and is read again before every start. A changed one is
  made anew.

Not here: which requirements are allowed (`locks.py`), how the folder gets onto the import path (`runtime.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from domain.contracts import PluginPackage
from domain.errors import PluginRegistrationFailed
from plugins.core.packages import PackageStore, remove_folder, write_whole
from plugins.core.runtime import SITE

WHEELS = "wheels"
SEAL = ".sealed"
INSTALL_SECONDS = 600.0
WORDS_LIMIT = 2_000


class Environments:
    """Makes and keeps the folders that plugins run from.

    Args:
        packages: where the packages lie; the folders are kept beside them.
    """

    def __init__(self, packages: PackageStore) -> None:
        self._packages = packages
        self._making = asyncio.Lock()

    async def folder_of(self, package: PluginPackage) -> Path:
        """Return the folder that a package runs from, made now if it is not there or was changed.

        Raises:
            PluginRegistrationFailed: its requirements cannot be installed.
            NotFound: the package is not kept.
        """
        kept = self._packages.path(package.digest)
        if package.contract.requirements is None:
            return kept
        target = self._packages.programs / package.digest
        async with self._making:
            if not await asyncio.to_thread(is_sealed, target):
                await self._make(package, kept, target)
        return target

    def remove(self, digest: str) -> None:
        """Remove the folder of a package; nothing happens when there is none."""
        remove_folder(self._packages.programs / digest)

    async def _make(self, package: PluginPackage, kept: Path, target: Path) -> None:
        self._packages.work.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix="program-", dir=self._packages.work))
        try:
            await asyncio.to_thread(shutil.copytree, kept, draft, dirs_exist_ok=True)
            await self._install(package, draft)
            await asyncio.to_thread(put_in_place, draft, target)
        finally:
            remove_folder(draft)

    async def _install(self, package: PluginPackage, draft: Path) -> None:
        argv = install_command(draft, str(package.contract.requirements))
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), INSTALL_SECONDS)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            raise PluginRegistrationFailed(
                f"The requirements of {package.id} could not be installed.",
                hint="Lock them with hashes, for wheels of this Python and system; the installer's words are in the "
                "details.",
                details={"installer": said.decode("utf-8", "replace")[-WORDS_LIMIT:]},
            )


def install_command(folder: Path, requirements: str) -> list[str]:
    """Return the command that installs a package's locked wheels into its `_site`: with uv if it is there, else pip."""
    uv, python = shutil.which("uv"), sys.executable
    installer = [uv, "pip", "install", "--python", python] if uv else [python, "-I", "-m", "pip", "install"]
    options = ["--link-mode", "copy"] if uv else ["--no-input", "--disable-pip-version-check", "--no-compile"]
    source = ["--no-index", "--find-links", str(folder / WHEELS)] if (folder / WHEELS).is_dir() else []
    hashed = ["--require-hashes", "--only-binary", ":all:", "--no-deps"]
    place = ["--target", str(folder / SITE), "-r", str(folder / requirements)]
    return [*installer, *options, *hashed, *source, *place]


def is_sealed(folder: Path) -> bool:
    """Say whether a folder is whole and as it was made."""
    try:
        return (folder / SEAL).read_text(encoding="ascii") == _digest_of(folder)
    except OSError:
        return False


def put_in_place(draft: Path, target: Path) -> None:
    """Seal a finished folder, make it read-only, and let it take the place of what was there."""
    write_whole(draft / SEAL, _digest_of(draft).encode())
    for path in _everything(draft):
        path.chmod(0o555 if path.is_dir() else 0o444)
    remove_folder(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft.replace(target)


def _digest_of(folder: Path) -> str:
    """Return a digest of all files of a folder but its seal."""
    digest = hashlib.sha256()
    for path in sorted(_everything(folder)):
        if path.is_file() and path.name != SEAL:
            digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _everything(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        yield from (Path(place, name) for name in (*folders, *files))
