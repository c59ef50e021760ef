"""Which system calls a zygote, a worker and the enclave's core may make.

Each is a list of what is needed; everything else is EPERM. A worker's filter lies
upon its zygote's, and a call has to pass both. Some of the rules stop more than
their name says:

- memory is writable or executable, never both, nor first one and then the other, so
  native code comes only from files, and no file can be written;
- `fcntl` sets no owner (F_SETOWN): the kernel would send that process any signal;
- `socketpair` makes streams only: a datagram socket could be sent to any path;
- `getsockopt` tells types and errors, and hands out no pidfd of the peer;
- `open` truncates nothing that it does not open for writing, as Landlock watches
  only the latter on kernels before 6.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from enclaved.sandbox.bpf import OWN_PID, Alternatives, Check, Filter
from enclaved.sandbox.syscalls import Machine

__all__ = ["core_filter", "worker_filter", "zygote_filter"]

Rules = dict[str, Alternatives]

_INT: Final = 0xFFFF_FFFF
_POINTER: Final = 0xFFFF_FFFF_FFFF_FFFF

# mman.h
_WRITE, _EXEC = 2, 4
_SHARED, _PRIVATE, _ANONYMOUS = 1, 2, 0x20
_KIND: Final = 0xF  # shared, private, or one of the newer kinds that nobody needs
# fcntl.h
_TRUNCATE, _ACCESS, _WRITE_ONLY, _READ_WRITE = 0x200, 3, 1, 2
# sched.h: as glibc starts a thread, which musl does with one more flag that means nothing; and as both fork
_THREAD, _NO_MEANING = 0x3D_0F00, 0x40_0000
_FORK, _PLAIN_FORK = 0x120_0011, 0x11


def _one_of(argument: int, *values: int, mask: int = _INT) -> Alternatives:
    return tuple((Check(argument, mask, value),) for value in values)


def _always(names: str) -> Rules:
    return dict.fromkeys(names.split(), ())


_NEVER_WRITABLE_AND_EXECUTABLE: Final[Rules] = {
    "mmap": (
        (Check(2, _EXEC, 0), Check(3, _KIND, _PRIVATE)),
        (Check(2, _WRITE | _EXEC, _EXEC), Check(3, _KIND | _ANONYMOUS, _PRIVATE)),
        (Check(2, _WRITE | _EXEC, 0), Check(3, _KIND | _ANONYMOUS, _SHARED)),  # a file, read by many
    ),
    "mprotect": _one_of(2, 0, mask=_EXEC),
}

_MEMORY: Final = _always("brk munmap mremap madvise") | _NEVER_WRITABLE_AND_EXECUTABLE

_FILES: Final[Rules] = _always(
    "read readv pread64 preadv write writev pwrite64 pwritev lseek close close_range dup dup2 dup3 "
    "fstat newfstatat stat lstat statx access faccessat readlink readlinkat getdents64 getcwd statfs fstatfs"
) | {
    "open": (*_one_of(1, 0, mask=_TRUNCATE), *_one_of(1, _WRITE_ONLY, _READ_WRITE, mask=_ACCESS)),
    "openat": (*_one_of(2, 0, mask=_TRUNCATE), *_one_of(2, _WRITE_ONLY, _READ_WRITE, mask=_ACCESS)),
    "fcntl": _one_of(1, 0, 1, 2, 3, 4, 1030),  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC
    "ioctl": _one_of(1, 0x5401, 0x541B, 0x5421, 0x5450, 0x5451),  # TCGETS, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
}

_WAITING: Final = _always(
    "poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2 pipe pipe2 "
    "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time setitimer getitimer alarm pause"
)

_SIGNALS: Final = _always(
    "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack restart_syscall"
)

_THREADS: Final[Rules] = _always(
    "futex set_robust_list rseq set_tid_address sched_yield exit exit_group membarrier"
) | {"clone": _one_of(0, _THREAD, mask=_INT & ~_NO_MEANING)}

_ITSELF: Final[Rules] = _always(
    "getpid getppid gettid getuid geteuid getgid getegid getresuid getresgid getgroups getpgrp getpgid getsid "
    "uname sysinfo getrusage times getcpu getrandom"
) | {
    "prctl": _one_of(0, 15, 16, 0x5356_4D41),  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, which names memory
    "prlimit64": _one_of(0, 0),
    "sched_getaffinity": _one_of(0, 0, OWN_PID),
    "tgkill": _one_of(0, OWN_PID),
}

_STREAMS: Final[Rules] = {
    "socketpair": (((Check(0, _INT, 1), Check(1, 0xF, 1))),),  # AF_UNIX, SOCK_STREAM
    "sendto": _one_of(4, 0, mask=_POINTER),  # to its peer, and to no address
    "getsockopt": ((Check(1, _INT, 1), Check(2, _INT, 3)), (Check(1, _INT, 1), Check(2, _INT, 4)),
                   (Check(1, _INT, 1), Check(2, _INT, 38)), (Check(1, _INT, 1), Check(2, _INT, 39))),
    **_always("recvfrom shutdown getsockname getpeername"),
}  # fmt: skip

_WORKER: Final[Rules] = {**_MEMORY, **_FILES, **_WAITING, **_SIGNALS, **_THREADS, **_ITSELF, **_STREAMS}

_ZYGOTE: Final[Rules] = {
    **_WORKER,
    **_always("wait4 waitid pidfd_open pidfd_send_signal sendmsg recvmsg tgkill capget"),
    **_always("landlock_create_ruleset landlock_add_rule landlock_restrict_self"),
    "clone": (*_WORKER["clone"], *_one_of(0, _FORK, _PLAIN_FORK)),
    # Also PR_SET_PDEATHSIG, PR_GET_DUMPABLE, PR_GET_SECCOMP and PR_GET_NO_NEW_PRIVS.
    "prctl": (*_WORKER["prctl"], *_one_of(0, 1, 3, 21, 39)),
    "seccomp": _one_of(0, 1),  # SECCOMP_SET_MODE_FILTER, for the worker's own
    "sched_getaffinity": (),
}

_CORE: Final[Rules] = {
    **_WORKER,
    **_always(
        "bind listen accept accept4 connect sendto sendmsg recvmsg getsockopt setsockopt ioctl fsync fdatasync flock "
        "ftruncate fallocate rename renameat renameat2 unlink unlinkat mkdir mkdirat rmdir link linkat "
        "symlink symlinkat chmod fchmod fchmodat utimensat umask wait4 waitid pidfd_open"
    ),
    "socket": _one_of(0, 1, 40),  # AF_UNIX, AF_VSOCK
    "socketpair": _one_of(0, 1),
    "fcntl": (*_WORKER["fcntl"], *_one_of(1, 5, 6, 7)),  # and locks
}

_NEWER_WAYS: Final = ("clone3", "openat2", "faccessat2")
"""Calls whose older forms are allowed, and whose arguments a filter cannot see or need not."""


def zygote_filter(machine: Machine) -> Filter:
    """Return what a zygote may do once it is locked down: fork workers, and what those may do."""
    return _filter(_ZYGOTE, machine)


def worker_filter(machine: Machine) -> Filter:
    """Return what a worker may do, and so the function: compute, read its files, start threads."""
    return _filter(_WORKER, machine)


def core_filter(machine: Machine, *, may_kill: Iterable[int]) -> Filter:
    """Return what the enclave's core may do once it has keys: neither fork nor exec, no network.

    Args:
        machine: whose system calls they are.
        may_kill: the processes that it may send signals to.
    """
    return _filter({**_CORE, "kill": _one_of(0, OWN_PID, *may_kill)}, machine)


def _filter(rules: Rules, machine: Machine) -> Filter:
    """Turn names into numbers; what this machine never had needs no rule."""
    numbers = machine.numbers
    return Filter(
        {numbers[name]: alternatives for name, alternatives in rules.items() if name in numbers},
        frozenset(numbers[name] for name in _NEWER_WAYS),
    )
