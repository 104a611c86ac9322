"""Spec 3.3, plugin packages - decides which folder is a package, what its digest is, and where packages are kept.

Rules:
- A package is `manifest.json`, its entry point, `contracts/`, and whatever else the code needs.
- The digest covers every file but `tests/`, `docs/`, `__pycache__` and names that begin with a dot; the store keeps
  exactly the files the digest covers, so what runs is what was counted: compiled code slipped in beside is damage.
- Refused: links, paths that leave the folder, names that not every system can hold, big files, too many files.
- A package enters the store whole or not at all, and never changes there.

Not here: what a contract must say (`contracts.py`), who may publish one (`engines/security.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson
from pydantic import JsonValue

from domain.contracts import PluginContract, PluginPackage, tool_name
from domain.errors import ManifestInvalid, NotFound
from plugins.core.contracts import Fault, invalid, parse_contract
from plugins.core.locks import read_lock

MANIFEST = "manifest.json"
FILE_LIMIT_BYTES = 16 * 1024 * 1024
FILES_LIMIT = 1_000
DEPTH_LIMIT = 12
LEFT_OUT = frozenset({"tests", "docs"})
"""Folders at the top of a package that do not run, so are neither counted nor kept."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_PORTABLE = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_ +@-]*[A-Za-z0-9_+@-])?(\.[A-Za-z0-9_+@-]+)*", re.ASCII)
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def read_package(folder: Path) -> PluginPackage:
    """Read a package's contract and take the digest of its files.

    Raises:
        ManifestInvalid: with every fault found, each with the file or the place in the manifest.
    """
    try:
        files = _files_of(folder)
        contract = _read_contract(folder, files)
        lines = "".join(f"{path}\0{hashlib.sha256(files[path].read_bytes()).hexdigest()}\n" for path in sorted(files))
        size = sum(file.stat().st_size for file in files.values())
    except OSError as error:
        raise invalid(str(folder), [(str(error.filename), f"cannot be read: {error.strerror}")]) from error
    return PluginPackage(contract=contract, digest=hashlib.sha256(lines.encode()).hexdigest(), size_bytes=size)


class PackageStore:
    """Immutable packages, one folder per digest.

    Args:
        root: where the packages lie.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def work(self) -> Path:
        """Where running instances have their private folders; on the same disk, never mistaken for a package."""
        return self.root / ".work"

    @property
    def programs(self) -> Path:
        """Where packages with requirements of their own are kept ready to run, one folder per digest."""
        return self.root / ".programs"

    def add(self, folder: Path) -> PluginPackage:
        """Copy a package in and return it; a package that is there already stays as it is.

        Raises:
            ManifestInvalid: the folder is no package, or changed while it was copied.
        """
        package = read_package(folder)
        if self.verify(package.digest):
            return package
        self.work.mkdir(parents=True, exist_ok=True)
        copy = Path(tempfile.mkdtemp(prefix="incoming-", dir=self.work))
        try:
            _copy(_files_of(folder), copy)
            if read_package(copy).digest != package.digest:
                raise ManifestInvalid(f"The package {folder} changed while it was copied.", hint="Try again.")
            self._enter(copy, package.digest)
        finally:
            shutil.rmtree(copy, ignore_errors=True)
        return package

    def path(self, digest: str) -> Path:
        """Return the folder of a package.

        Raises:
            NotFound: there is no such package.
        """
        folder = self.root / digest
        if not _DIGEST.fullmatch(digest) or not (folder / MANIFEST).is_file():
            raise NotFound(f"There is no plugin package {digest}.", hint="Add it again from where it came.")
        return folder

    def get(self, digest: str) -> PluginPackage:
        """Return a package after reading it again from disk.

        Raises:
            NotFound: there is no such package.
            ManifestInvalid: its files are damaged.
        """
        package = read_package(self.path(digest))
        if package.digest != digest or _has_more_than_counted(self.path(digest)):
            raise ManifestInvalid(
                f"The files of the plugin package {digest} were changed after it was added.",
                hint="Remove the package and add it again from where it came.",
            )
        return package

    def verify(self, digest: str) -> bool:
        """Say whether the package is there and its files are those it was added with."""
        try:
            self.get(digest)
        except (NotFound, ManifestInvalid, OSError):
            return False
        return True

    def digests(self) -> list[str]:
        """Return the digests of all packages, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(
            path.parent.name for path in self.root.glob(f"*/{MANIFEST}") if _DIGEST.fullmatch(path.parent.name)
        )

    def remove(self, digest: str) -> None:
        """Remove a package; nothing happens when it is not there. The manifest goes first: a rest is no package."""
        if _DIGEST.fullmatch(digest):
            (self.root / digest / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(self.root / digest, ignore_errors=True)
            remove_folder(self.programs / digest)

    def _enter(self, copy: Path, digest: str) -> None:
        """Move a finished copy to its place; a damaged package there makes room, a sound one wins."""
        with contextlib.suppress(OSError):
            copy.replace(self.root / digest)
            return
        if self.verify(digest):
            return
        self.remove(digest)
        try:
            copy.replace(self.root / digest)
        except OSError as error:
            if not self.verify(digest):
                text = f"The damaged plugin package {digest} could not be replaced: {error.strerror}."
                raise ManifestInvalid(text, hint="End what uses it and try again.") from error


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file's content so that a reader sees the old or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_folder(folder: Path) -> None:
    """Remove a folder, read-only or not."""
    for place, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            with contextlib.suppress(OSError):
                Path(place, name).chmod(stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)


def _copy(files: dict[str, Path], target: Path) -> None:
    for relative, source in files.items():
        destination = target / relative
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, destination)


def _files_of(folder: Path) -> dict[str, Path]:
    """Return the files the digest covers, by POSIX path relative to the folder."""
    if not folder.is_dir():
        raise ManifestInvalid(f"There is no folder {folder}.", hint="Name the folder of a plugin package.")
    files: dict[str, Path] = {}
    faults: list[Fault] = []
    for relative, entry, fault in _walk(folder, ""):
        if fault:
            faults.append((relative, fault))
        elif len(files) >= FILES_LIMIT:
            faults.append((relative, f"is one file too many, the limit is {FILES_LIMIT}"))
            break
        else:
            files[relative] = entry
    faults += _clashes(files)
    if faults:
        raise invalid(str(folder), faults)
    return files


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Path, str]]:
    """Yield each file with its path and what is wrong with it, links unfollowed."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        relative = f"{prefix}{entry.name}"
        if entry.name.startswith(".") or entry.name == "__pycache__" or (not prefix and entry.name in LEFT_OUT):
            continue
        path = Path(entry.path)
        if fault := _fault_of(entry, path, relative):
            yield relative, path, fault
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(path, f"{relative}/")
        else:
            yield relative, path, ""


def _fault_of(entry: os.DirEntry[str], path: Path, relative: str) -> str:
    if entry.is_symlink() or not (entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)):
        return "is a link or a device; a package has plain files only"
    if path.resolve() != path.parent.resolve() / path.name:
        return "leads out of the package"
    if not _PORTABLE.fullmatch(entry.name) or _RESERVED.fullmatch(entry.name):
        return "has a name that not every system can hold"
    if relative.count("/") >= DEPTH_LIMIT:
        return f"is deeper than {DEPTH_LIMIT} folders"
    if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_size > FILE_LIMIT_BYTES:
        return f"is bigger than {FILE_LIMIT_BYTES} bytes"
    return ""


def _clashes(files: dict[str, Path]) -> list[Fault]:
    seen: dict[str, str] = {}
    faults = []
    for relative in files:
        parts = relative.split("/")
        for depth in range(1, len(parts) + 1):
            place = "/".join(parts[:depth])
            other = seen.setdefault(place.lower(), place)
            if other != place:
                faults.append((relative, f"differs from {other} by capitals only"))
                break
    return faults


def _has_more_than_counted(folder: Path) -> bool:
    """Say whether files lie in a kept package that its digest does not cover."""
    return sum(not path.is_dir() for path in folder.rglob("*")) > len(_files_of(folder))


def _read_contract(folder: Path, files: dict[str, Path]) -> PluginContract:
    manifest, fault = _read_json(MANIFEST, files)
    if fault:
        raise invalid(str(folder), [(MANIFEST, fault)])
    if isinstance(manifest, dict):
        manifest.pop("$schema", None)
    faults = [*_fill_in_schemas(manifest, files), *_entry_point_faults(manifest, files)]
    faults += _lock_faults(manifest, files)
    return parse_contract(manifest, str(folder), faults)


def _read_json(relative: str, files: dict[str, Path]) -> tuple[JsonValue, str]:
    """Return a file's document and what is wrong with it."""
    if relative not in files:
        return None, "is missing"
    try:
        return orjson.loads(files[relative].read_bytes()), ""
    except orjson.JSONDecodeError as error:
        return None, f"is not JSON: {error}"


def _lock_faults(manifest: JsonValue, files: dict[str, Path]) -> Iterator[Fault]:
    lock = manifest.get("requirements") if isinstance(manifest, dict) else None
    if not isinstance(lock, str):
        return
    if lock not in files:
        yield "$.requirements", f"names {lock}, which is not a file at the top of the package"
        return
    _, faults = read_lock(files[lock].read_text(encoding="utf-8", errors="replace"))
    yield from ((lock, fault) for fault in faults)


def _entry_point_faults(manifest: JsonValue, files: dict[str, Path]) -> Iterator[Fault]:
    if isinstance(manifest, dict) and manifest.get("command"):
        return
    entry = manifest.get("entry_point", "plugin.py") if isinstance(manifest, dict) else None
    if isinstance(entry, str) and ("/" in entry or not entry.endswith(".py") or entry not in files):
        yield "$.entry_point", f"names {entry}, which is not a .py file at the top of the package"


def _fill_in_schemas(manifest: JsonValue, files: dict[str, Path]) -> Iterator[Fault]:
    """Give every method the schemas of its contract file where the manifest leaves them out; yield what is wrong.

    A schema that cannot be had is replaced by the widest, so that what else is wrong can be told too.
    """
    for relative, method in _methods(manifest):
        if "input_schema" in method and "output_schema" in method:
            continue
        stated, fault = _read_json(relative, files)
        if fault:
            yield relative, fault
        for side in ("input", "output"):
            if isinstance(stated, dict) and side in stated:
                method.setdefault(f"{side}_schema", stated[side])
            elif f"{side}_schema" not in method:
                method[f"{side}_schema"] = {"type": "object"}
                if not fault:
                    yield relative, f"has no {side} schema"


def _methods(manifest: JsonValue) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    """Yield every method with the path of its contract file."""
    for interface in _objects(manifest, "provided_interfaces"):
        for method in _objects(interface, "methods"):
            yield f"contracts/{tool_name(str(interface.get('name')), str(method.get('name')))}.json", method


def _objects(parent: JsonValue, key: str) -> list[dict[str, JsonValue]]:
    items = parent.get(key) if isinstance(parent, dict) else None
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
