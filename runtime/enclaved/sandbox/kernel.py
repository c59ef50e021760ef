"""The calls to Linux that Python's standard library does not offer.

Every failure is an `OSError`: a step of a lock-down that did not happen must
never look as if it had (prctl(2), proc_pid_task_children(5)).
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Collection
from typing import Final

__all__ = [
    "adopt_orphans",
    "die_with_parent",
    "forbid_dumps",
    "forbid_new_privileges",
    "kill_strays",
]

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends.

    Args:
        parent: the parent's process id; when it has ended already, so does this process.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call above, so its signal never comes
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none slips away."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def forbid_new_privileges() -> None:
    """Give up, for this process and its descendants, what setuid programs would grant."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def forbid_dumps() -> None:
    """Leave no core file, and let no process of the same user trace this one or read its memory."""
    _prctl(_PR_SET_DUMPABLE, 0)


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


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, value, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl {option}: {os.strerror(error)}")
