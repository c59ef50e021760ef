"""The layers that a sandbox is made of, and the levels that they amount to.

A level is a set of layers, each of them proved in the process that runs the
function. No layer is enough alone; README.md says what each one stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from enclaved.sandbox.isolation import IsolationLevel

__all__ = ["BELOW_WASM", "LEVELS", "Layer", "level_of"]


class Layer(StrEnum):
    """One thing that keeps a function in."""

    NAMESPACES = "namespaces"  # its own mounts, processes, network, IPC and host name
    OWN_USER = "own-user"  # a user id that no other process has
    PRIVILEGES = "privileges"  # no capability, and none to be had
    UNREADABLE = "unreadable"  # no debugger, no core file
    LIMITS = "limits"  # memory, processor time, descriptors, threads, file size
    LANDLOCK = "landlock"  # files by path, TCP, abstract sockets, signals
    SECCOMP = "seccomp"  # which system calls there are


_RESTRICTED: Final = frozenset(Layer) - {Layer.NAMESPACES, Layer.OWN_USER}

LEVELS: Final[Mapping[IsolationLevel, frozenset[Layer]]] = {
    IsolationLevel.FULL: frozenset(Layer),
    IsolationLevel.RESTRICTED: _RESTRICTED,
}
"""What each level of a sandbox is made of, the best first."""

BELOW_WASM: Final = frozenset({Layer.PRIVILEGES, Layer.UNREADABLE, Layer.LIMITS})
"""What every Linux gives: no sandbox, so no level, and still of use below WebAssembly, which is one."""


def level_of(layers: Iterable[Layer]) -> IsolationLevel | None:
    """Return the best level that these layers amount to, or None: then no function may run."""
    there = frozenset(layers)
    return next((level for level, needed in LEVELS.items() if needed <= there), None)
