"""What a process can reach by name: files, TCP ports, abstract sockets, other processes (landlock(7)).

Rights that the running kernel does not know yet are left out; none of them is the
only layer against what it forbids, as seccomp forbids the same calls.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable
from typing import Final

from enclaved.sandbox import kernel

__all__ = ["forbid_others", "read_only", "version"]

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
# By ABI version, linux/landlock.h: how many rights over files there are.
_FILE_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_TCP: Final = 3  # bind and connect, from version 4
_SCOPES: Final = 3  # abstract sockets and signals, from version 6
_VERSION_FLAG: Final = 1
_RULE_PATH_BENEATH: Final = 1


# linux/landlock.h: what a ruleset handles (files, TCP, scopes), and one rule (rights, descriptor).
_RULESET: Final = struct.Struct("=QQQ")
_PATH_BENEATH: Final = struct.Struct("=Qi")


def version() -> int:
    """Return the version of Landlock that the kernel offers.

    Raises:
        OSError: it offers none.
    """
    return kernel.call("landlock_create_ruleset", 0, 0, _VERSION_FLAG)


def read_only(readable: Iterable[str], *, devices: Iterable[str]) -> None:
    """Leave to this process what lies below some paths, for reading; take everything else that has a name.

    Args:
        readable: files and folders; those that do not exist are passed over.
        devices: files that may be written as well.

    Raises:
        OSError: the kernel refuses.
    """
    abi = version()
    rights = (1 << _FILE_RIGHTS[min(abi, 5)]) - 1
    ruleset = _create(rights, _TCP if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    try:
        for path in readable:
            _allow(ruleset, path, files=_READ_FILE, folders=_READ_FILE | _READ_DIR)
        for path in devices:
            _allow(ruleset, path, files=_READ_FILE | _WRITE_FILE, folders=0)
        kernel.call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def forbid_others() -> None:
    """Enter a domain of one's own: no process outside it can be traced, read or sent a signal.

    Raises:
        OSError: the kernel refuses.
    """
    ruleset = _create(_EXECUTE, 0, _SCOPES if version() >= 6 else 0)
    try:
        kernel.call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _create(files: int, tcp: int, scopes: int) -> int:
    # Older kernels know a shorter structure, and accept a longer one whose rest is zero.
    return kernel.call("landlock_create_ruleset", _RULESET.pack(files, tcp, scopes), _RULESET.size, 0)


def _allow(ruleset: int, path: str, *, files: int, folders: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        if rights := folders if is_folder else files:
            rule = _PATH_BENEATH.pack(rights, descriptor)
            kernel.call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)
