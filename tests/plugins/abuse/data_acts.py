"""What a plugin needs to be able to do, and what it must not: read, write and send what is not its own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

assert sys.platform == "linux"

from tests.plugins.abuse.acts import Given, act

# Controls: what every plugin must be able to do


@act
def control_workspace(_: Given) -> object:
    place = Path("kept.txt")
    place.write_text("mine", encoding="utf-8")
    return place.read_text(encoding="utf-8")


@act
def control_library(_: Given) -> object:
    import asyncio
    import json
    import sqlite3
    import ssl
    import tempfile

    with tempfile.TemporaryFile() as file, contextlib.closing(sqlite3.connect("kept.db")) as base:
        file.write(b"x")
        base.execute("create table t (a)")
    thread = threading.Thread(target=time.sleep, args=(0.001,))
    thread.start()
    thread.join()
    return json.dumps([ssl.OPENSSL_VERSION[:7], asyncio.run(asyncio.sleep(0, "ran"))])


# Reading what is not its own


@act
def read_shadow(_: Given) -> object:
    return Path("/etc/shadow").read_text(encoding="utf-8")[:20]


@act
def read_secret(given: Given) -> object:
    return Path(given["secret"]).read_text(encoding="utf-8")


@act
def read_house(given: Given) -> object:
    return Path(given["house"]).read_text(encoding="utf-8")[:40]


@act
def list_folder(given: Given) -> object:
    return [str(place) for place in Path(given["folder"]).iterdir()]


@act
def symlink_read(given: Given) -> object:
    Path("link").symlink_to(given["secret"])
    return Path("link").read_text(encoding="utf-8")


@act
def hardlink_secret(given: Given) -> object:
    os.link(given["secret"], "hard")
    return Path("hard").read_text(encoding="utf-8")


@act
def env_secret(_: Given) -> object:
    return dict(os.environ)


@act
def inherited_descriptors(_: Given) -> object:
    found = [os.pread(number, 100, 0) for number in range(3, 64) if _is_file(number)]
    return b"".join(found).decode("utf-8", "replace")


def _is_file(number: int) -> bool:
    with contextlib.suppress(OSError):
        os.pread(number, 1, 0)
        return True
    return False


@act
def environment_of_victim(given: Given) -> object:
    return Path(f"/proc/{given['victim']}/environ").read_bytes().decode("utf-8", "replace")


@act
def environment_of_anybody(_: Given) -> object:
    found = ""
    for place in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            found += place.read_bytes().decode("utf-8", "replace")
    return found


@act
def root_of_victim(given: Given) -> object:
    return Path(f"/proc/{given['victim']}/root{given['secret']}").read_text(encoding="utf-8")


@act
def folder_of_victim(given: Given) -> object:
    return str(Path(f"/proc/{given['victim']}/cwd").readlink())


@act
def memory_of_victim(given: Given) -> object:
    with open(f"/proc/{given['victim']}/mem", "rb"):  # noqa: PTH123
        return "opened"


@act
def list_processes(given: Given) -> object:
    if str(given["victim"]) not in {place.name for place in Path("/proc").iterdir()}:
        raise PermissionError
    return "seen"


# Writing what is not its own


@act
def write_outside(given: Given) -> object:
    return Path(given["outside"]).write_text("was here", encoding="utf-8")


@act
def change_attributes(given: Given) -> object:
    Path(given["secret"]).chmod(0o777)
    os.utime(given["secret"], (1, 1))
    return "changed"


@act
def watch_folder(given: Given) -> object:
    libc = ctypes.CDLL(None)
    watch = libc.inotify_add_watch(libc.inotify_init1(0), given["folder"].encode(), 0xFFF)
    if watch < 0:
        raise PermissionError
    return "watching"


@act
def overwrite_own_code(given: Given) -> object:
    return Path(given["code"]).open("a", encoding="utf-8").write("# changed\n")


@act
def plant_path_file(given: Given) -> object:
    return Path(given["code"]).with_name("evil.pth").write_text("import os", encoding="utf-8")


@act
def overwrite_library(_: Given) -> object:
    with open(contextlib.__file__, "ab"):  # noqa: PTH123
        return "opened"


@act
def shared_memory_file(given: Given) -> object:
    return Path("/dev/shm", given["name"]).write_text("was here", encoding="utf-8")


@act
def core_pattern(_: Given) -> object:
    with open("/proc/sys/kernel/core_pattern", "r+"):  # noqa: PTH123
        return "opened"


@act
def leave_cgroup(_: Given) -> object:
    with open("/sys/fs/cgroup/cgroup.procs", "r+"):  # noqa: PTH123
        return "opened"


@act
def kernel_devices(_: Given) -> object:
    for name in ("/dev/kmsg", "/dev/mem", "/dev/port"):
        with contextlib.suppress(OSError):
            os.close(os.open(name, os.O_WRONLY))
            return name
    raise PermissionError


@act
def make_device(_: Given) -> object:
    os.mknod("disk", 0o600 | 0o060000, os.makedev(7, 0))
    return "made"


# The network


def _connected(family: int, address: Any) -> str:
    with socket.socket(family, socket.SOCK_STREAM) as line:
        line.settimeout(3)
        line.connect(address)
        line.sendall(b"was here")
    return "sent"


@act
def connect_loopback(given: Given) -> object:
    return _connected(socket.AF_INET, ("127.0.0.1", given["tcp"]))


@act
def connect_unix(given: Given) -> object:
    return _connected(socket.AF_UNIX, given["unix"])


@act
def connect_abstract(given: Given) -> object:
    return _connected(socket.AF_UNIX, f"\0{given['name']}")


@act
def send_datagram(given: Given) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        return line.sendto(b"was here", ("127.0.0.1", given["udp"]))


@act
def send_through_a_pair(given: Given) -> object:
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return one.sendto(b"was here", given["datagrams"])


@act
def listen(_: Given) -> object:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        line.listen()
        return line.getsockname()


def _opened(family: int, kind: int, protocol: int = 0) -> object:
    with socket.socket(family, kind, protocol):
        return "opened"


@act
def socket_ipv6(_: Given) -> object:
    return _opened(socket.AF_INET6, socket.SOCK_STREAM)


@act
def socket_raw(_: Given) -> object:
    return _opened(socket.AF_INET, socket.SOCK_RAW, 1)


@act
def socket_packet(_: Given) -> object:
    return _opened(socket.AF_PACKET, socket.SOCK_RAW)


@act
def socket_netlink(_: Given) -> object:
    return _opened(socket.AF_NETLINK, socket.SOCK_RAW)


@act
def socket_crypto(_: Given) -> object:
    return _opened(socket.AF_ALG, socket.SOCK_SEQPACKET)


@act
def socket_machine(_: Given) -> object:
    return _opened(socket.AF_VSOCK, socket.SOCK_STREAM)
