"""Spec 11.1, rights on Windows - decides which files a plugin in an AppContainer may open.

Rules:
- Each plugin has an AppContainer of its own, named after it. Windows lets a process in one open only what is granted to
  the container, to a capability that it holds, or to all app packages; the user's own rights do not count.
- What every plugin needs, the interpreter and our runtime, is granted once, to one capability that all of them hold.
  A plugin's package and its private folder are granted to its container.
- Without a container nothing is granted: a process of low integrity reads what its user reads, and writes to what is
  marked as low, which its private folder is.
- A grant is an entry added to the list of a file or folder. What is granted already is left alone: an entry on a folder
  is copied to all that it holds, which takes seconds for a whole interpreter.

Lists are read and written as Windows spells them (SDDL), and the identifiers follow from the names, so all but the two
calls that read and write them can be checked anywhere.

Not here: how a process gets into its container (`windows_launcher.py`).
"""

from __future__ import annotations

import ctypes
import hashlib
import struct
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

CONTAINER_PREFIX = "upgrade-loop."
CAPABILITY = "upgradeLoopPlugin"
ALL_APP_PACKAGES = "S-1-15-2-1"
OPEN_TO_ALL = "D:NO_ACCESS_CONTROL"
_ALIASES = {"AC": ALL_APP_PACKAGES}
_NAMED_RIGHTS = {"FA": 0x1F01FF, "FR": 0x120089, "FX": 0x1200A0, "FW": 0x120116, "GA": 0x1F01FF}


LOW_LABEL = "S:(ML;OICI;NW;;;LW)"
"""Low integrity, for a folder and all that comes into it: no writing from below, which nothing is."""


class Rights(IntEnum):
    """What is granted: FILE_GENERIC_READ with FILE_GENERIC_EXECUTE, or what icacls calls "modify"."""

    READ = 0x1200A9
    MODIFY = 0x1301BF


@dataclass(frozen=True)
class Grant:
    """That an identifier may open a file, or a folder with all in it; `others` are those whose right is enough too."""

    path: Path
    rights: Rights
    sid: str
    others: tuple[str, ...] = ()


def container_name(plugin: str) -> str:
    """Return the name of a plugin's AppContainer."""
    return CONTAINER_PREFIX + plugin


def container_sid(name: str) -> str:
    """Return the identifier of an AppContainer: seven words of the SHA-256 of its name in lower case."""
    return _sid("S-1-15-2", name.lower(), 7)


def capability_sid(name: str) -> str:
    """Return the identifier of a capability: eight words of the SHA-256 of its name in upper case."""
    return _sid("S-1-15-3-1024", name.upper(), 8)


def _sid(prefix: str, text: str, words: int) -> str:
    digest = hashlib.sha256(text.encode("utf-16-le")).digest()
    return "-".join((prefix, *map(str, struct.unpack(f"<{words}I", digest[: 4 * words]))))


def entries(sddl: str) -> Iterator[str]:
    """Yield the entries of a list, conditions in inner parentheses included."""
    depth = start = 0
    for place, letter in enumerate(sddl):
        if letter == "(":
            start = place + 1 if depth == 0 else start
            depth += 1
        elif letter == ")":
            depth -= 1
            if depth == 0:
                yield sddl[start:place]


def is_granted(sddl: str, rights: Rights, sids: Collection[str]) -> bool:
    """Say whether an entry that holds for the folder itself grants all of the rights to one of the identifiers.

    A volume without lists of this kind, such as FAT, is open to everybody.
    """
    if sddl.startswith(OPEN_TO_ALL):
        return True
    for kind, flags, mask, _, _, sid, *condition in (entry.split(";") for entry in entries(sddl)):
        holds = kind == "A" and "IO" not in flags and not condition
        if holds and _ALIASES.get(sid, sid) in sids and _mask(mask) & rights == rights:
            return True
    return False


def with_grant(sddl: str, rights: Rights, sid: str) -> str:
    """Return a list with one entry more, after those that were set here and before the inherited ones."""
    head = sddl.partition("(")[0]
    known = list(entries(sddl))
    inherited = [entry for entry in known if "ID" in entry.split(";")[1]]
    own = [entry for entry in known if entry not in inherited]
    return head + "".join(f"({entry})" for entry in (*own, f"A;OICI;{rights:#x};;;{sid}", *inherited))


def _mask(text: str) -> int:
    """Return rights as bits; names that are not about files count as none."""
    if text.startswith("0x"):
        return int(text, 16)
    mask = 0
    for place in range(0, len(text), 2):
        mask |= _NAMED_RIGHTS.get(text[place : place + 2], 0)
    return mask


if sys.platform == "win32":
    from ctypes import wintypes

    FILE_OBJECT, DACL, LABEL, PROTECTED_DACL, SDDL_REVISION = 1, 0x4, 0x10, 0x80000000, 1
    ALREADY_THERE = -2147024713  # 0x800700B7, ERROR_ALREADY_EXISTS

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _security = ctypes.WinDLL("advapi32", use_last_error=True)
    _pointer = ctypes.POINTER(wintypes.LPVOID)
    _kernel.LocalFree.argtypes = (wintypes.LPVOID,)
    _security.GetNamedSecurityInfoW.argtypes = (
        *(wintypes.LPCWSTR, ctypes.c_int, wintypes.DWORD),
        *(_pointer, _pointer, _pointer, _pointer, _pointer),
    )
    _security.SetNamedSecurityInfoW.argtypes = (
        *(wintypes.LPCWSTR, ctypes.c_int, wintypes.DWORD),
        *(wintypes.LPVOID, wintypes.LPVOID, wintypes.LPVOID, wintypes.LPVOID),
    )
    _security.ConvertSecurityDescriptorToStringSecurityDescriptorW.argtypes = (
        *(wintypes.LPVOID, wintypes.DWORD, wintypes.DWORD),
        *(ctypes.POINTER(wintypes.LPWSTR), wintypes.LPVOID),
    )
    _security.ConvertStringSecurityDescriptorToSecurityDescriptorW.argtypes = (
        *(wintypes.LPCWSTR, wintypes.DWORD, _pointer, wintypes.LPVOID),
    )
    for _part in (_security.GetSecurityDescriptorDacl, _security.GetSecurityDescriptorSacl):
        _part.argtypes = (wintypes.LPVOID, ctypes.POINTER(wintypes.BOOL), _pointer, ctypes.POINTER(wintypes.BOOL))

    def carry_out(grant: Grant) -> None:
        """Add what a grant says to its path, unless that is so already.

        Raises:
            OSError: Windows refuses.
        """
        sddl = access_list(grant.path)
        if not is_granted(sddl, grant.rights, {grant.sid, *grant.others}):
            _set_rights(grant.path, with_grant(sddl, grant.rights, grant.sid))

    def mark_as_low(path: Path) -> None:
        """Let processes of low integrity write to a folder and all that comes into it.

        Raises:
            OSError: Windows refuses.
        """
        _set_rights(path, LOW_LABEL)

    def make_container(name: str) -> None:
        """Make a plugin's AppContainer known to Windows; nothing happens when it is.

        Raises:
            OSError: Windows refuses, or has none.
        """
        try:
            create = ctypes.WinDLL("userenv").CreateAppContainerProfile
        except AttributeError:
            raise OSError("this system has no AppContainers") from None
        create.argtypes = (*(wintypes.LPCWSTR,) * 3, wintypes.LPVOID, wintypes.DWORD, _pointer)
        sid = wintypes.LPVOID()
        answer = create(name, name, "A plugin of the Self-Upgrading Loop", None, 0, ctypes.byref(sid))
        if answer not in {0, ALREADY_THERE}:
            raise OSError(f"CreateAppContainerProfile({name}) answered {answer & 0xFFFFFFFF:#x}")
        if sid:
            _security.FreeSid(sid)

    def access_list(path: Path) -> str:
        """Return who may do what with a file or folder, as SDDL.

        Raises:
            OSError: it is not there, or may not be looked at.
        """
        descriptor, text = wintypes.LPVOID(), wintypes.LPWSTR()
        _check(
            _security.GetNamedSecurityInfoW(
                str(path), FILE_OBJECT, DACL, None, None, None, None, ctypes.byref(descriptor)
            )
        )
        try:
            _true(
                _security.ConvertSecurityDescriptorToStringSecurityDescriptorW(
                    descriptor, SDDL_REVISION, DACL, ctypes.byref(text), None
                )
            )
            return str(text.value)
        finally:
            _kernel.LocalFree(text)
            _kernel.LocalFree(descriptor)

    def _set_rights(path: Path, sddl: str) -> None:
        """Set a path's access list, or its label."""
        descriptor, acl, given = wintypes.LPVOID(), wintypes.LPVOID(), wintypes.BOOL()
        _true(
            _security.ConvertStringSecurityDescriptorToSecurityDescriptorW(
                sddl, SDDL_REVISION, ctypes.byref(descriptor), None
            )
        )
        label = sddl.startswith("S:")
        part = _security.GetSecurityDescriptorSacl if label else _security.GetSecurityDescriptorDacl
        head = sddl.partition("(")[0].removeprefix("D:")
        kind = LABEL if label else DACL | (PROTECTED_DACL if "P" in head else 0)
        lists = (None, acl) if label else (acl, None)
        try:
            _true(part(descriptor, ctypes.byref(given), ctypes.byref(acl), ctypes.byref(wintypes.BOOL())))
            _check(_security.SetNamedSecurityInfoW(str(path), FILE_OBJECT, kind, None, None, *lists), path)
        finally:
            _kernel.LocalFree(descriptor)

    def _check(code: int, path: Path | None = None) -> None:
        """Take a Windows error code for what it is; 0 is none."""
        if code:
            raise OSError(0, ctypes.FormatError(code), None if path is None else str(path), code)

    def _true(answer: int) -> None:
        if not answer:
            raise ctypes.WinError(ctypes.get_last_error())
