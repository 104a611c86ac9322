"""What a plugin must not be able to do to other processes, to the machine, and beyond its share."""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

assert sys.platform == "linux"

from tests.plugins.abuse.acts import ARM, LIBC, Given, act, kernel

# Other processes


@act
def kill_victim(given: Given) -> object:
    os.kill(given["victim"], 9)
    return "sent"


@act
def reach_everybody(_: Given) -> object:
    os.kill(-1, 0)
    return "may"


@act
def trace_victim(given: Given) -> object:
    return kernel(117 if ARM else 101, 0x4206, given["victim"], 0, 0)


@act
def read_victims_memory(given: Given) -> object:
    class Vector(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))

    here = ctypes.create_string_buffer(8)
    local, remote = Vector(ctypes.addressof(here), 8), Vector(given["address"], 8)
    count = kernel(270 if ARM else 310, given["victim"], ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
    return f"{count} bytes"


@act
def move_victim(given: Given) -> object:
    os.sched_setaffinity(given["victim"], {0})
    return "moved"


@act
def outlive_the_host(_: Given) -> object:
    return kernel(167 if ARM else 157, 1, 0, 0, 0, 0)


@act
def fork(_: Given) -> object:
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


@act
def run_shell(_: Given) -> object:
    return subprocess.run(["/bin/sh", "-c", "echo ran"], capture_output=True, text=True, check=True).stdout


@act
def run_python(given: Given) -> object:
    return os.posix_spawn(given["python"], ["python", "-c", "pass"], {})


# More than its share


@act
def memory_bomb(given: Given) -> object:
    kept = [bytearray(16 << 20) for _ in range(4 * given["memory_mb"] // 16)]
    return f"{sum(map(len, kept)) >> 20} MiB"


@act
def memory_file_bomb(_: Given) -> object:
    return os.memfd_create("bomb")


@act
def shared_memory(_: Given) -> object:
    segment = kernel(194 if ARM else 29, 0, 1 << 20, 0o1600)
    kernel(195 if ARM else 31, segment, 0, None)
    return segment


@act
def thread_bomb(_: Given) -> object:
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(1_000)]
    try:
        for thread in threads:
            thread.start()
    finally:
        stop.set()
    return len(threads)


@act
def descriptor_bomb(_: Given) -> object:
    kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(2_000)]
    for number in kept:
        os.close(number)
    return len(kept)


@act
def fill_one_file(given: Given) -> object:
    with open("big", "wb") as file:  # noqa: PTH123
        for _ in range(2 * given["disk_mb"]):
            file.write(bytes(1 << 20))
            file.flush()
    return "written"


@act
def fill_many_files(given: Given) -> object:
    for number in range(4):
        Path(f"part-{number}").write_bytes(bytes(given["disk_mb"] << 19))
    return "written"


@act
def fill_inodes(_: Given) -> object:
    for number in range(30_000):
        os.close(os.open(f"f{number}", os.O_CREAT | os.O_WRONLY))
    return "made"


@act
def raise_limits(_: Given) -> object:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard + 1))
    return "raised"


@act
def lower_limits_of_others(given: Given) -> object:
    return resource.prlimit(given["victim"], resource.RLIMIT_NOFILE, (3, 3))


@act
def realtime_priority(_: Given) -> object:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return "set"


@act
def higher_priority(_: Given) -> object:
    return os.nice(-5)


@act
def lock_memory(_: Given) -> object:
    place = ctypes.create_string_buffer(1 << 20)
    return kernel(228 if ARM else 149, ctypes.byref(place), 1 << 20)


# The kernel's doors


@act
def keep_capabilities(_: Given) -> object:
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    kernel(90 if ARM else 125, ctypes.byref(header), ctypes.byref(sets))
    if not any(sets):
        raise PermissionError
    return list(sets)


@act
def gain_privileges(_: Given) -> object:
    if LIBC.prctl(39, 0, 0, 0, 0) == 1:
        raise PermissionError
    return "may"


@act
def become_root(_: Given) -> object:
    os.setresuid(0, 0, 0)
    return os.getuid()


@act
def new_namespace(_: Given) -> object:
    return kernel(97 if ARM else 272, 0x10000000)


@act
def clone_namespace(_: Given) -> object:
    child = kernel(220 if ARM else 56, 0x10000000 | 17, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return child


@act
def mount(_: Given) -> object:
    return kernel(40 if ARM else 165, b"none", b".", b"tmpfs", 0, None)


@act
def change_root(_: Given) -> object:
    return kernel(51 if ARM else 161, b".")


@act
def load_program(_: Given) -> object:
    return kernel(
        280 if ARM else 321, 0, ctypes.byref(ctypes.create_string_buffer(b"\1\0\0\0\4\0\0\0\4\0\0\0\1", 72)), 72
    )


@act
def ring(_: Given) -> object:
    return kernel(425, 1, ctypes.byref(ctypes.create_string_buffer(120)))


@act
def page_faults(_: Given) -> object:
    return kernel(282 if ARM else 323, 1)


@act
def measure_processor(_: Given) -> object:
    attributes = ctypes.create_string_buffer(128)
    ctypes.c_uint32.from_buffer(attributes, 0).value = 1
    ctypes.c_uint32.from_buffer(attributes, 4).value = 128
    return kernel(241 if ARM else 298, ctypes.byref(attributes), 0, -1, -1, 0)


@act
def keep_a_key(given: Given) -> object:
    return kernel(217 if ARM else 248, b"user", given["name"].encode(), b"kept", 4, -3)


@act
def set_clock(_: Given) -> object:
    time.clock_settime(time.CLOCK_REALTIME, time.time())
    return "set"


@act
def set_name(_: Given) -> object:
    socket.sethostname(socket.gethostname())
    return "set"


@act
def type_for_the_owner(_: Given) -> object:
    import fcntl

    return fcntl.ioctl(0, 0x5412, b"x")


@act
def dump_core(_: Given) -> object:
    if resource.getrlimit(resource.RLIMIT_CORE) == (0, 0):
        raise PermissionError
    return "may"
