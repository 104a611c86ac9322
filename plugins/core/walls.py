"""Spec 11.1, walls within the process - decides what a process gives up before it imports a plugin's code.

Rules:
- Limits first, on every POSIX system: memory, the size of a file, open files, no core dump; on Windows the host's job
  object holds them. On Linux the process dies with its host.
- Where the host built walls, then, in this order, none of which can be taken back: capabilities, new privileges, files
  (Landlock), calls (seccomp). Linux only.
- A step that the kernel refuses ends the process: no plugin runs within half its walls.
- Of Landlock everything is handled that this kernel knows, so what no rule grants is refused.

Standard library only: this is loaded beside foreign code, by `runtime.py`, and reads what the host decided.
Sources: Documentation/userspace-api/landlock.rst, prctl(2), capset(2), seccomp(2).

Not here: what is granted (`linux_jails.py`), the filter's rules (`seccomp.py`).
"""

from __future__ import annotations

import ctypes
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OPEN_FILES = 256
SHARED_MEMORY_MB = 1_024
SET_PARENT_DEATH_SIGNAL, KILL_SIGNAL = 1, 9
READ, EXECUTE, WRITE = 0b1100, 0b0001, 0b0111_0101_1011_0010
"""Landlock's rights: open files and list folders; run them; change files, and make and remove all but devices."""
FILE_RIGHTS = 0b1100_0000_0000_0111
"""The rights that a single file can have."""
RIGHTS_OF_ABI = (0x0, 0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF)
NETWORK, SCOPES = 0b11, 0b11
ATTRIBUTE_BYTES = (0, 8, 8, 8, 16, 16, 24)
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
SET_DUMPABLE, CAPBSET_DROP, SET_SECCOMP, SET_NO_NEW_PRIVS = 4, 24, 22, 38
SECCOMP_FILTER, CAPABILITIES_V3, LAST_CAPABILITY = 2, 0x20080522, 63
SYS_CAPSET = {"x86_64": 126, "aarch64": 91}


class Attribute(ctypes.Structure):
    """`struct landlock_ruleset_attr`."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class Beneath(ctypes.Structure):
    """`struct landlock_path_beneath_attr`."""

    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


class Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def contain(limits: dict[str, Any]) -> None:
    """Set the limits, and stand within the walls if there are any.

    Args:
        limits: `memory_mb` and `disk_mb`, 0 for no bound; `shared`, whether shared memory is bounded too; `walls`, what
            `stand` is told.

    RLIMIT_DATA bounds private memory; RLIMIT_AS above it bounds shared mappings too, but leaves the allocator what it
    merely reserves. A foreign server may reserve what it likes.
    """
    if sys.platform == "win32":
        return
    import resource

    walls = limits.get("walls")
    disk = limits["disk_mb"] << 20
    wanted = {"CORE": 0, "NOFILE": OPEN_FILES, "FSIZE": disk or None}
    if sys.platform == "linux":
        memory, more = limits["memory_mb"], SHARED_MEMORY_MB if limits["shared"] else None
        wanted |= {"DATA": memory << 20 or None, "AS": (memory + more) << 20 if memory and more else None}
        wanted |= {"MEMLOCK": 0, "NPROC": walls["processes"] or None} if walls else {}
    for name, most in wanted.items():
        if most is not None:
            kind = getattr(resource, f"RLIMIT_{name}")
            hard = resource.getrlimit(kind)[1]
            bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (bound, bound))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, KILL_SIGNAL)
    if walls:
        stand(walls)


def landlock_abi() -> int:
    """Return the version of Landlock this kernel speaks, 0 when it has none."""
    return max(0, int(ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, 1)))


def stand(spec: dict[str, Any]) -> None:
    """Give up everything that `spec` does not grant.

    Args:
        spec: `read`, `execute` and `write`, each a list of paths; `filter`, the seccomp program in hexadecimal digits.

    Raises:
        OSError: the kernel refuses a step.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    drop_capabilities(libc)
    _do(libc, "prctl", SET_DUMPABLE, 0, 0, 0, 0)
    _do(libc, "prctl", SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    close_files(libc, spec)
    steps = bytes.fromhex(spec["filter"])
    _do(libc, "prctl", SET_SECCOMP, SECCOMP_FILTER, ctypes.byref(Program(len(steps) // 8, steps)), 0, 0)


def drop_capabilities(libc: Any) -> None:
    """Let go of every capability, of those that a program could gain too; a process without any has nothing to drop."""
    if sys.platform != "linux":
        return
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(CAPABILITIES_V3, 0)
    _do(libc, "syscall", SYS_CAPSET[os.uname().machine], ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))


def close_files(libc: Any, spec: dict[str, Any]) -> None:
    """Let nothing be opened but what is granted."""
    if sys.platform != "linux":
        return
    abi = landlock_abi()
    handled = RIGHTS_OF_ABI[min(abi, len(RIGHTS_OF_ABI) - 1)]
    attribute = Attribute(handled, NETWORK if abi >= 4 else 0, SCOPES if abi >= 6 else 0)
    size = ATTRIBUTE_BYTES[min(abi, len(ATTRIBUTE_BYTES) - 1)]
    ruleset = _do(libc, "syscall", CREATE_RULESET, ctypes.byref(attribute), size, 0)
    grants = (("read", READ), ("execute", READ | EXECUTE), ("write", READ | WRITE))
    for path, rights in ((path, rights) for key, rights in grants for path in spec[key]):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        limit = handled if os.path.isdir(path) else handled & FILE_RIGHTS  # noqa: PTH112 - pathlib doubles the start-up
        beneath = Beneath(rights & limit, place)
        _do(libc, "syscall", ADD_RULE, ruleset, 1, ctypes.byref(beneath), 0)
        os.close(place)
    _do(libc, "syscall", RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _do(libc: Any, name: str, *arguments: Any) -> int:
    result = int(getattr(libc, name)(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{arguments[:1]}: {os.strerror(number)}")
    return result
