"""The calls to Linux that Python's standard library does not offer.

Every failure is an `OSError`: a step of a lock-down that did not happen must
never look as if it had (prctl(2), capset(2), proc_pid_task_children(5)).
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Collection
from typing import Final, NamedTuple

from enclaved.sandbox.syscalls import this_machine

__all__ = [
    "Capabilities",
    "adopt_orphans",
    "call",
    "capabilities",
    "die_with_parent",
    "drop_capabilities",
    "forbid_dumps",
    "forbid_new_privileges",
    "kill_strays",
    "prctl",
]

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAPBSET_READ: Final = 23
_PR_CAPBSET_DROP: Final = 24
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION: Final = 0x2008_0522  # the third, of 64 bits
_SETPCAP: Final = 8

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
_LIBC.syscall.argtypes = [ctypes.c_long] * 7
_LIBC.syscall.restype = ctypes.c_long


def call(name: str, *arguments: int | bytes) -> int:
    """Make a system call that Python has no function for, and return what it returns.

    Args:
        name: the call.
        arguments: numbers, and structures that the kernel reads.

    Raises:
        OSError: it failed.
    """
    words = [argument if isinstance(argument, int) else _address(argument) for argument in arguments]
    result = int(_LIBC.syscall(this_machine().numbers[name], *words, *[0] * (6 - len(words))))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def _address(data: bytes) -> int:
    """Return where bytes lie, for as long as somebody holds them."""
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


def prctl(option: int, value: int = 0) -> int:
    """Ask for, or set, an attribute of this process (prctl(2)).

    Raises:
        OSError: the kernel refuses.
    """
    result = int(_LIBC.prctl(option, value, 0, 0, 0))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl {option}: {os.strerror(error)}")
    return result


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; a change of user takes that back.

    Args:
        parent: the parent's process id, 0 for one outside its namespace; when it has
            ended already, so does this process.
    """
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call above, so its signal never comes
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none slips away."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def forbid_new_privileges() -> None:
    """Give up, for this process and its descendants, what setuid programs would grant."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def forbid_dumps() -> None:
    """Leave no core file, and let no process of the same user trace this one or read its memory."""
    prctl(_PR_SET_DUMPABLE, 0)


class Capabilities(NamedTuple):
    """A process's capabilities, as bits (capabilities(7))."""

    effective: int
    permitted: int
    inheritable: int


def capabilities() -> Capabilities:
    """Return the capabilities that this process has, or could take up again."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # the three sets, and then their upper halves
    call("capget", ctypes.addressof(header), ctypes.addressof(sets))
    return Capabilities(*(low | high << 32 for low, high in zip(sets[:3], sets[3:], strict=True)))


def drop_capabilities() -> None:
    """Give up every capability, and whatever could bring one back."""
    if capabilities().effective & 1 << _SETPCAP:
        capability = 0
        while _is_known(capability):
            prctl(_PR_CAPBSET_DROP, capability)
            capability += 1
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    call("capset", ctypes.addressof(header), ctypes.addressof(none))


def _is_known(capability: int) -> bool:
    try:
        prctl(_PR_CAPBSET_READ, capability)
    except OSError:
        return False
    return True


def kill_strays(keep: Collection[int]) -> None:
    """Kill and bury every child of this process except `keep`, and theirs, until none is left.

    A process that adopts orphans finds here what a function forked and left behind:
    killing one hands its children over to us, and the next round finds them.
    """
    while strays := _children().difference(keep):
        for pid in strays:
            os.kill(pid, signal.SIGKILL)  # a child that nobody waited for: its number is still its own
        for pid in strays:
            os.waitpid(pid, 0)


def _children() -> set[int]:
    children: set[int] = set()
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/children", "rb") as listing:
            children.update(map(int, listing.read().split()))
    return children
