"""The filters' programs, judged by an interpreter of our own: on a machine that this is not, too."""

from __future__ import annotations

import errno
import struct

import pytest
from enclaved.sandbox import syscalls
from enclaved.sandbox.bpf import Program, assemble
from enclaved.sandbox.filters import core_filter, worker_filter, zygote_filter
from enclaved.sandbox.syscalls import Machine
from hypothesis import given
from hypothesis import strategies as st

ALLOW, KILL = 0x7FFF_0000, 0x8000_0000
REFUSED, NOT_THERE = 0x5_0000 | errno.EPERM, 0x5_0000 | errno.ENOSYS
OWN = 4321
MACHINES = {"x86_64": syscalls._X86_64, "aarch64": syscalls._AARCH64}
FORK, THREAD = 0x120_0011, 0x3D_0F00


def verdict(program: Program, number: int, *arguments: int, architecture: int) -> int:
    """Run a program as the kernel does, and return what it returns."""
    words = [argument & (1 << 64) - 1 for argument in (*arguments, *[0] * (6 - len(arguments)))]
    data = struct.pack("=iIQ6Q", number if number < 1 << 31 else number - (1 << 32), architecture, 0, *words)
    code = program.for_process(OWN)
    at = accumulator = 0
    while True:
        operation, if_true, if_false, operand = struct.unpack_from("=HBBI", code, at * 8)
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, operand)
            case 0x54:
                accumulator &= operand
            case 0x15:
                at += if_true if accumulator == operand else if_false
            case 0x35:
                at += if_true if accumulator >= operand else if_false
            case 0x06:
                return int(operand)
            case _:
                raise AssertionError(operation)


FILTERS = {
    "zygote": zygote_filter,
    "worker": worker_filter,
    "core": lambda machine: core_filter(machine, may_kill=[77]),
}


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> Machine:
    """Each machine that the sandbox knows."""
    return MACHINES[request.param]


@pytest.mark.parametrize(
    ("role", "name", "arguments", "expected"),
    [
        ("worker", "read", (), ALLOW),
        ("worker", "clone", (THREAD,), ALLOW),
        ("worker", "clone", (FORK,), REFUSED),
        ("worker", "clone", (THREAD | 0x1000_0000,), REFUSED),
        ("worker", "clone3", (), NOT_THERE),
        ("worker", "kill", (OWN, 9), REFUSED),
        ("worker", "tgkill", (OWN, 1, 6), ALLOW),
        ("worker", "tgkill", (OWN + 1, 1, 6), REFUSED),
        ("worker", "prlimit64", (0,), ALLOW),
        ("worker", "prlimit64", (OWN,), REFUSED),
        ("worker", "socket", (1, 1), REFUSED),
        ("worker", "socketpair", (1, 0x80801), ALLOW),
        ("worker", "socketpair", (1, 2), REFUSED),
        ("worker", "socketpair", (2, 1), REFUSED),
        ("worker", "sendto", (3, 1, 1, 0, 0), ALLOW),
        ("worker", "sendto", (3, 1, 1, 0, 1 << 40), REFUSED),
        ("worker", "mmap", (0, 1, 3, 0x22), ALLOW),
        ("worker", "mmap", (0, 1, 7, 0x22), REFUSED),
        ("worker", "mmap", (0, 1, 5, 0x22), REFUSED),
        ("worker", "mmap", (0, 1, 5, 0x2), ALLOW),
        ("worker", "mmap", (0, 1, 7, 0x2), REFUSED),
        ("worker", "mmap", (0, 1, 3, 0x21), REFUSED),
        ("worker", "mmap", (0, 1, 1, 0x1), ALLOW),
        ("worker", "mmap", (0, 1, 3, 0x1), REFUSED),
        ("worker", "mprotect", (0, 1, 3), ALLOW),
        ("worker", "mprotect", (0, 1, 4), REFUSED),
        ("worker", "mprotect", (0, 1, 5), REFUSED),
        ("worker", "openat", (0, 0, 0), ALLOW),
        ("worker", "openat", (0, 0, 0x200), REFUSED),
        ("worker", "openat", (0, 0, 0x241), ALLOW),
        ("worker", "fcntl", (3, 8, 1), REFUSED),
        ("worker", "fcntl", (3, 1 << 32 | 3), ALLOW),  # the kernel looks at the lower half alone
        ("worker", "fcntl", (3, 1 << 32 | 8), REFUSED),
        ("worker", "ioctl", (3, 0x5421), ALLOW),
        ("worker", "ioctl", (3, 0x5412), REFUSED),
        ("worker", "prctl", (4, 1), REFUSED),
        ("worker", "prctl", (1, 0), REFUSED),
        ("worker", "seccomp", (1,), REFUSED),
        ("worker", "getsockopt", (3, 1, 3), ALLOW),
        ("worker", "getsockopt", (3, 1, 77), REFUSED),
        ("zygote", "clone", (FORK,), ALLOW),
        ("zygote", "clone", (FORK | 0x2000_0000,), REFUSED),
        ("zygote", "socket", (1, 1), REFUSED),
        ("zygote", "mprotect", (0, 1, 5), REFUSED),
        ("zygote", "seccomp", (1,), ALLOW),
        ("core", "clone", (FORK,), REFUSED),
        ("core", "clone", (THREAD,), ALLOW),
        ("core", "socket", (1, 1), ALLOW),
        ("core", "socket", (40, 1), ALLOW),
        ("core", "socket", (2, 1), REFUSED),
        ("core", "socket", (16, 3), REFUSED),
        ("core", "kill", (77, 9), ALLOW),
        ("core", "kill", (78, 9), REFUSED),
    ],
)
def test_a_call_is_judged(machine: Machine, role: str, name: str, arguments: tuple[int, ...], expected: int) -> None:
    """By its arguments where they matter."""
    program = assemble(FILTERS[role](machine), architecture=machine.architecture)

    assert verdict(program, machine.numbers[name], *arguments, architecture=machine.architecture) == expected


@given(role=st.sampled_from(sorted(FILTERS)), number=st.integers(0, 600), arguments=st.tuples(*[st.integers(0)] * 6))
def test_what_is_not_on_the_list_is_refused(role: str, number: int, arguments: tuple[int, ...]) -> None:
    """Whatever its arguments are: nothing is allowed by falling through."""
    machine = MACHINES["x86_64"]
    filter_ = FILTERS[role](machine)
    program = assemble(filter_, architecture=machine.architecture)
    judged = verdict(program, number, *arguments, architecture=machine.architecture)

    if number in filter_.absent:
        assert judged == NOT_THERE
    elif number not in filter_.allowed:
        assert judged == REFUSED
    elif not filter_.allowed[number]:
        assert judged == ALLOW


@given(number=st.integers(0, 2**32 - 1), architecture=st.integers(0, 2**32 - 1))
def test_another_architecture_is_killed(number: int, architecture: int) -> None:
    """Its numbers mean other calls."""
    machine = MACHINES["x86_64"]
    program = assemble(worker_filter(machine), architecture=machine.architecture)

    if architecture != machine.architecture:
        assert verdict(program, number, architecture=architecture) == KILL


@given(number=st.integers(0, 600))
def test_the_second_call_table_is_refused(number: int) -> None:
    """The same calls under other numbers (x32)."""
    machine = MACHINES["x86_64"]
    program = assemble(worker_filter(machine), architecture=machine.architecture)

    assert verdict(program, number | 0x4000_0000, architecture=machine.architecture) == REFUSED


NEVER = (
    "execve execveat fork vfork ptrace process_vm_readv pidfd_getfd mount umount2 unshare setns chroot pivot_root bpf "
    "perf_event_open io_uring_setup userfaultfd keyctl add_key memfd_create shmget mq_open kexec_load init_module"
)


@pytest.mark.parametrize("name", NEVER.split())
def test_what_nobody_needs_has_not_even_a_number(name: str) -> None:
    """A call that is not in the table cannot be allowed by a slip."""
    assert all(name not in machine.numbers for machine in MACHINES.values())
