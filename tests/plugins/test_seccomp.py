"""What the kernel is told to refuse: the program is run here step by step, as the kernel does it, for both."""

from __future__ import annotations

import struct

import pytest

from plugins.core.seccomp import (
    ALLOW,
    ARCHITECTURES,
    AT_LEAST,
    ENOSYS,
    EPERM,
    EQUAL,
    GREATER,
    KILL,
    LOAD,
    MASKED,
    NEWEST,
    NUMBERS,
    OUTSIDE,
    PROCESSES,
    RETURN,
    program,
)

MACHINES = tuple(ARCHITECTURES)
both = pytest.mark.parametrize("machine", MACHINES)


def judged(steps: bytes, machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    """Return the answer to a call, by the rules of linux/filter.h."""
    audit = ARCHITECTURES[machine].audit if audit is None else audit
    data = struct.pack("=IIQ6Q", number, audit, 0, *(*arguments, *[0] * (6 - len(arguments))))
    value, at = 0, 0
    while True:
        code, if_true, if_false, constant = struct.unpack_from("=HBBI", steps, 8 * at)
        at += 1
        if code == LOAD:
            (value,) = struct.unpack_from("=I", data, constant)
        elif code == MASKED:
            value &= constant
        elif code == RETURN:
            return int(constant)
        else:
            holds = {EQUAL: value == constant, GREATER: value > constant, AT_LEAST: value >= constant}[code]
            at += if_true if holds else if_false


def number_of(name: str, machine: str) -> int | None:
    return {**NUMBERS, **OUTSIDE}[name][ARCHITECTURES[machine].column]


@both
def test_every_listed_call_is_refused_and_others_are_not(machine: str) -> None:
    fenced, alone = program(machine, alone=False), program(machine)
    listed = {number_of(name, machine) for name in (*NUMBERS, *OUTSIDE)}
    looked_at = {getattr(ARCHITECTURES[machine], name) for name in ("clone", "clone3", "ioctl", "prctl", "prlimit64")}
    for number in set(range(NEWEST + 1)) - looked_at - {ARCHITECTURES[machine].socketpair}:
        assert judged(fenced, machine, number) == (EPERM if number in listed else ALLOW), number
    for name in OUTSIDE:
        if (number_ := number_of(name, machine)) is not None:
            assert judged(alone, machine, number_) == ALLOW, name


@both
def test_what_is_no_call_of_this_machine_is_not_let_through(machine: str) -> None:
    steps = program(machine)
    other = ARCHITECTURES[next(name for name in MACHINES if name != machine)].audit
    assert judged(steps, machine, 0, audit=other) == KILL
    assert judged(steps, machine, NEWEST + 1) == ENOSYS
    assert judged(steps, machine, ARCHITECTURES[machine].clone3) == ENOSYS
    assert judged(steps, machine, 0x40000001) == (KILL if machine == "x86_64" else ENOSYS)


@both
@pytest.mark.parametrize(
    ("call", "arguments", "answer"),
    [
        ("clone", (0x3D0F00,), ALLOW),
        ("clone", (17,), EPERM),
        ("socketpair", (1, 1 | 0x80800), ALLOW),
        ("socketpair", (1, 2), EPERM),
        ("socketpair", (2, 1), EPERM),
        ("prctl", (15,), ALLOW),
        ("prctl", (1, 0), EPERM),
        ("prlimit64", (0, 7, 0), ALLOW),
        ("prlimit64", (0, 7, 0x7F00), EPERM),
        ("prlimit64", (0, 7, 1 << 32), EPERM),
        ("ioctl", (0, 0x5401), ALLOW),
        ("ioctl", (0, 0x5412), EPERM),
        ("ioctl", (0, 0x541C), EPERM),
        ("mmap", (0, 0, 0, 0x21), ALLOW),
    ],
)
def test_some_calls_are_judged_by_their_arguments(
    machine: str, call: str, arguments: tuple[int, ...], answer: int
) -> None:
    assert judged(program(machine), machine, getattr(ARCHITECTURES[machine], call), *arguments) == answer


@both
def test_leave_to_start_processes_gives_that_and_no_namespaces(machine: str) -> None:
    steps, clone = program(machine, processes=True), ARCHITECTURES[machine].clone
    for name in PROCESSES:
        if (number := number_of(name, machine)) is not None:
            assert judged(steps, machine, number) == ALLOW, name
    assert judged(steps, machine, clone, 17) == ALLOW
    assert judged(steps, machine, clone, 0x10000000 | 17) == EPERM
    unshare, socket = number_of("unshare", machine), number_of("socket", machine)
    assert unshare is not None
    assert socket is not None
    assert {judged(steps, machine, unshare), judged(steps, machine, socket)} == {EPERM}


@both
def test_a_foreign_server_becomes_itself_and_starts_nothing(machine: str) -> None:
    steps, architecture = program(machine, becomes=True), ARCHITECTURES[machine]
    execve, kill = number_of("execve", machine), number_of("kill", machine)
    assert execve is not None
    assert kill is not None
    assert judged(steps, machine, execve) == ALLOW
    assert {judged(steps, machine, kill), judged(steps, machine, architecture.clone, 17)} == {EPERM}
    assert judged(steps, machine, architecture.mmap, 0, 0, 0, 0x22) == ALLOW
    assert judged(steps, machine, architecture.mmap, 0, 0, 0, 0x21) == EPERM
