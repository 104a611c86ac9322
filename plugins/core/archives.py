"""Spec 3.3, packed plugins - decides how a package travels as one file.

Rules:
- An archive is a ZIP of the package's files, tests and pages included, sorted by name, with nothing of when or where it
  was packed: the same files give the same bytes on every machine, which is why they are stored and not compressed.
- What is left out is what no package has: hidden files, compiled code, links.
- Unpacking trusts nothing: names, number and sizes are checked before and while a byte is written.
- Only a folder that reads as a package is packed; only what was unpacked is read as one.

Not here: what a package is (`packages.py`), who made an archive (its signature).
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from domain.contracts import PluginPackage
from domain.errors import ManifestInvalid
from plugins.core.packages import DEPTH_LIMIT, FILE_LIMIT_BYTES, FILES_LIMIT, read_package, write_whole

SUFFIX: Final = ".plugin"
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
PLAIN_FILE: Final = 0o100644 << 16
UNIX: Final = 3
TOTAL_LIMIT_BYTES: Final = 256 * 1024 * 1024
_PORTABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ +@.-]*(?<![ .])", re.ASCII)
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


class Packed(NamedTuple):
    """What a package was packed into."""

    package: PluginPackage
    content: bytes
    files: int

    @property
    def sha256(self) -> str:
        """Digest of the archive itself."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def name(self) -> str:
        """What the archive's file is called."""
        contract = self.package.contract
        return f"{contract.name}-{contract.version}{SUFFIX}"


def pack(folder: Path) -> Packed:
    """Pack a package folder.

    Raises:
        ManifestInvalid: the folder is no package, or holds what cannot travel.
    """
    package = read_package(folder)
    files = dict(sorted(_files_of(folder, "")))
    if faults := [name for name in files if _fault_of(name)]:
        raise ManifestInvalid(
            f"The plugin package {folder} cannot be packed: not every system can hold {', '.join(faults[:5])}.",
            hint="Rename the files: letters, digits and _ - + @ . only.",
        )
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, path in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr, entry.create_system = PLAIN_FILE, UNIX
            archive.writestr(entry, path.read_bytes())
    return Packed(package, target.getvalue(), len(files))


def unpack(archive: Path, folder: Path) -> PluginPackage:
    """Unpack an archive into an empty folder and return the package that it holds.

    Raises:
        ManifestInvalid: it is no archive of a package, or one that would do harm; the folder may hold a part of it.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            if fault := next(_faults_of(entries), ""):
                raise _refused(archive, fault)
            for entry in entries:
                with opened.open(entry) as source:
                    content = source.read(FILE_LIMIT_BYTES + 1)
                if len(content) != entry.file_size:
                    raise _refused(archive, f"{entry.filename} is not as long as it says")
                write_whole(folder / entry.filename, content)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise _refused(archive, str(error)) from error
    return read_package(folder)


def _files_of(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__" or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files_of(path, f"{prefix}{path.name}/")
        else:
            yield f"{prefix}{path.name}", path


def _faults_of(entries: list[zipfile.ZipInfo]) -> Iterator[str]:
    names = [entry.filename for entry in entries]
    if len(entries) > FILES_LIMIT:
        yield f"it holds more than {FILES_LIMIT} files"
    if len({name.lower() for name in names}) != len(names):
        yield "it holds a file twice"
    if sum(entry.file_size for entry in entries) > TOTAL_LIMIT_BYTES:
        yield f"it holds more than {TOTAL_LIMIT_BYTES} bytes"
    for entry in entries:
        kind = entry.external_attr >> 28
        if entry.is_dir() or kind not in {0, 0o10}:
            yield f"{entry.filename} is not a plain file"
        if entry.file_size > FILE_LIMIT_BYTES:
            yield f"{entry.filename} is bigger than {FILE_LIMIT_BYTES} bytes"
        if entry.flag_bits & 1 or _fault_of(entry.filename):
            yield f"{entry.filename} has a name or a form that cannot be used"


def _fault_of(name: str) -> bool:
    parts = name.split("/")
    return len(parts) > DEPTH_LIMIT + 1 or any(
        not _PORTABLE.fullmatch(part) or _RESERVED.fullmatch(part) for part in parts
    )


def _refused(archive: Path, reason: str) -> ManifestInvalid:
    return ManifestInvalid(
        f"{archive} is not a packed plugin that can be used: {reason}.",
        hint="Pack it again with `upgrade-loop plugin pack`.",
    )
