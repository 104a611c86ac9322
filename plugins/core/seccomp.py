"""Spec 11.1, kernel calls - decides which requests of a plugin the Linux kernel refuses.

Rules:
- What a plugin needs to compute, to use its own files and threads, and to speak on its pipe is let through; what opens
  a network, starts or touches another process, changes the machine, takes memory past the limits, or reaches the parts
  of the kernel where its faults are found is refused with EPERM.
- A call newer than the table is refused with ENOSYS, and so is `clone3`, whose flags a filter cannot read: libraries
  then use what went before.
- A call of another architecture, or of the x32 kind, ends the process.
- A process without namespaces of its own is refused, too, what its file rules do not hold: changing modes, owners,
  times and attributes, watching folders, and binding others to a processor.
- Nobody takes back that he dies with his host. A pair of sockets is let through as a stream only: a datagram socket
  can be pointed at anybody. A foreign server gets no anonymous shared memory, which no limit would count.
- Leave to start processes gives back `fork`, `execve` and signals, and nothing else. A foreign server may become
  another program, within the same walls, but start none.

The program is built on the host and handed in as bytes, so that what is loaded beside foreign code is short.
Numbers: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux 6.12; the program's form:
linux/filter.h and linux/seccomp.h, see Documentation/userspace-api/seccomp_filter.rst.

Not here: files (`walls.py`), limits (`runtime.py`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

LOAD, EQUAL, GREATER, AT_LEAST, MASKED, RETURN = 0x20, 0x15, 0x25, 0x35, 0x54, 0x06
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
KILL, ALLOW = 0x80000000, 0x7FFF0000
EPERM, ENOSYS = 0x00050001, 0x00050026
X32_BIT: Final = 0x40000000
NEWEST: Final = 462
"""The highest call number of Linux 6.12, on both architectures."""
THREAD_FLAG: Final = 0x00010000
NAMESPACE_FLAGS: Final = 0x7E020080
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET and NEWTIME."""
UNIX_FAMILY: Final = 1
SOCKET_TYPES: Final = 0xF
STREAM: Final = 1
SET_PARENT_DEATH_SIGNAL: Final = 1
SHARED_ANONYMOUS: Final = 0x21
"""MAP_SHARED and MAP_ANONYMOUS."""
TERMINAL_REQUESTS: Final = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX: typing on the terminal of whoever started the process."""

PROCESSES: Final = frozenset({"fork", "vfork", "execve", "kill", "tkill", "tgkill"})
"""What leave to start processes gives back; `clone` without new namespaces is let through beside it."""

NUMBERS: Final[Mapping[str, tuple[int | None, int | None]]] = {
    "accept": (43, 202),
    "accept4": (288, 242),
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bind": (49, 200),
    "bpf": (321, 280),
    "capset": (126, 91),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "connect": (42, 203),
    "delete_module": (176, 106),
    "execve": (59, 221),
    "execveat": (322, 281),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "fchmodat2": (452, 452),
    "finit_module": (313, 273),
    "fork": (57, None),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "ioprio_set": (251, 30),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "kill": (62, 129),
    "listen": (50, 201),
    "listmount": (458, 458),
    "lookup_dcookie": (212, 18),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "mlock": (149, 228),
    "mlock2": (325, 284),
    "mlockall": (151, 230),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "setfsgid": (123, 152),
    "setfsuid": (122, 151),
    "setgid": (106, 144),
    "setgroups": (116, 159),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "setpriority": (141, 140),
    "setregid": (114, 143),
    "setresgid": (119, 149),
    "setresuid": (117, 147),
    "setreuid": (113, 145),
    "setrlimit": (160, 164),
    "settimeofday": (164, 170),
    "setuid": (105, 146),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmget": (29, 194),
    "socket": (41, 198),
    "statmount": (457, 457),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "sysfs": (139, None),
    "syslog": (103, 116),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "ustat": (136, None),
    "vfork": (58, None),
    "vhangup": (153, 58),
}
"""Calls that are refused, with their numbers on x86_64 and on aarch64; None where there is no such call."""


OUTSIDE: Final[Mapping[str, tuple[int | None, int | None]]] = {
    "chmod": (90, None),
    "chown": (92, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "fremovexattr": (199, 16),
    "fsetxattr": (190, 7),
    "futimesat": (261, None),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "lchown": (94, None),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "removexattr": (197, 14),
    "sched_setaffinity": (203, 122),
    "setxattr": (188, 5),
    "truncate": (76, 45),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
}
"""Calls that are refused to a process without namespaces of its own."""


@dataclass(frozen=True)
class Architecture:
    """What differs between the machines: the kernel's name for it, and the calls whose arguments are looked at."""

    audit: int
    column: int
    clone: int
    clone3: int
    ioctl: int
    mmap: int
    prctl: int
    prlimit64: int
    socketpair: int


ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "x86_64": Architecture(
        0xC000003E, 0, clone=56, clone3=435, ioctl=16, mmap=9, prctl=157, prlimit64=302, socketpair=53
    ),
    "aarch64": Architecture(
        0xC00000B7, 1, clone=220, clone3=435, ioctl=29, mmap=222, prctl=167, prlimit64=261, socketpair=199
    ),
}


def program(machine: str, *, processes: bool = False, becomes: bool = False, alone: bool = True) -> bytes:
    """Return the filter as an array of `struct sock_filter`.

    Args:
        machine: as `platform.machine()` names it; one of `ARCHITECTURES`.
        processes: whether the plugin may start processes.
        becomes: whether it may become another program.
        alone: whether it is in namespaces of its own.

    Raises:
        KeyError: there is no table for the machine.
    """
    architecture = ARCHITECTURES[machine]
    given = PROCESSES if processes else frozenset({"execve"} if becomes else ())
    refused = sorted(
        number
        for name, numbers in (NUMBERS if alone else {**NUMBERS, **OUTSIDE}).items()
        if name not in given and (number := numbers[architecture.column]) is not None
    )
    shared = _no_shared_memory(architecture) if becomes else ()
    return b"".join((*_head(architecture), *_judged(architecture, processes=processes), *shared, *_listed(refused)))


def _head(architecture: Architecture) -> Iterator[bytes]:
    """Refuse what is no call of this architecture."""
    yield _load(ARCHITECTURE_AT)
    yield _step(EQUAL, architecture.audit, 1, 0)
    yield _answer(KILL)
    yield _load(NUMBER_AT)
    if architecture.column == 0:
        yield _step(AT_LEAST, X32_BIT, 0, 1)
        yield _answer(KILL)
    yield _step(GREATER, NEWEST, 0, 1)
    yield _answer(ENOSYS)
    yield _step(EQUAL, architecture.clone3, 0, 1)
    yield _answer(ENOSYS)


def _judged(architecture: Architecture, *, processes: bool) -> Iterator[bytes]:
    """Look at the arguments of the calls that are let through in part; each block ends with an answer."""
    if processes:
        yield from _block(architecture.clone, _argument(0), _step(MASKED, NAMESPACE_FLAGS), _unless(0))
    else:
        yield from _block(architecture.clone, _argument(0), _step(MASKED, THREAD_FLAG), _unless(THREAD_FLAG))
    kind = (_argument(1), _step(MASKED, SOCKET_TYPES), _unless(STREAM))
    yield from _block(architecture.socketpair, _argument(0), _unless(UNIX_FAMILY, len(kind)), *kind)
    yield from _block(architecture.prctl, _argument(0), _step(EQUAL, SET_PARENT_DEATH_SIGNAL, 1, 0))
    yield from _block(architecture.prlimit64, _argument(2), _unless(0, 2), _argument(2, high=True), _unless(0))
    typing = (
        _step(EQUAL, request, len(TERMINAL_REQUESTS) - index, 0) for index, request in enumerate(TERMINAL_REQUESTS)
    )
    yield from _block(architecture.ioctl, _argument(1), *typing)


def _no_shared_memory(architecture: Architecture) -> tuple[bytes, ...]:
    """Refuse memory that is shared and of no file."""
    both = (_step(MASKED, SHARED_ANONYMOUS), _step(EQUAL, SHARED_ANONYMOUS, 1, 0))
    return _block(architecture.mmap, _argument(3), *both)


def _block(number: int, *steps: bytes) -> tuple[bytes, ...]:
    """Return what is done for one call: steps that jump to the last answer, EPERM, or fall through to ALLOW."""
    return (_step(EQUAL, number, 0, len(steps) + 2), *steps, _answer(ALLOW), _answer(EPERM))


def _listed(refused: list[int]) -> Iterator[bytes]:
    """Refuse the listed calls, and let all others through."""
    for index, number in enumerate(refused):
        yield _step(EQUAL, number, len(refused) - index, 0)
    yield _answer(ALLOW)
    yield _answer(EPERM)


def _unless(value: int, more: int = 0) -> bytes:
    """Go on when the loaded value is `value`, else jump over the ALLOW behind, and over `more` steps before it."""
    return _step(EQUAL, value, 0, 1 + more)


def _argument(index: int, *, high: bool = False) -> bytes:
    return _load(ARGUMENTS_AT + 8 * index + (4 if high else 0))


def _load(offset: int) -> bytes:
    return _step(LOAD, offset)


def _answer(value: int) -> bytes:
    return _step(RETURN, value)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
