"""How well a function is kept apart, as a closed set of levels.

The level goes into the key bundle and into every receipt, where policies and
people read it: so it names what was built and probed, never what was wished for.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["NOT_ISOLATED", "IsolationLevel", "describe", "wasm_level"]

NOT_ISOLATED: Final = "NOT ISOLATED"
"""What every display says of a level that keeps nothing from a hostile function."""


class IsolationLevel(StrEnum):
    """What stands between a function and everything else."""

    FULL = "full"
    RESTRICTED = "restricted"
    MEMORY_SAFE = "memory-safe"
    PROCESS = "process"


_DESCRIPTIONS: Final = {
    IsolationLevel.FULL: "isolated: namespaces, own user, Landlock, seccomp and resource limits",
    IsolationLevel.RESTRICTED: "isolated: Landlock, seccomp and resource limits, without namespaces",
    IsolationLevel.MEMORY_SAFE: "isolated by WebAssembly alone, with no sandbox below it",
    IsolationLevel.PROCESS: f"{NOT_ISOLATED}: a process of its own and resource limits, nothing more",
}


def describe(level: IsolationLevel) -> str:
    """Return what a level means, in words for people."""
    return _DESCRIPTIONS[level]


def wasm_level(below: IsolationLevel) -> IsolationLevel:
    """Return the level of a WebAssembly function in a process that has the level `below`.

    A sandbox below counts for what it is. Without one, WebAssembly itself still keeps the
    function from everything but its own memory.
    """
    return IsolationLevel.MEMORY_SAFE if below is IsolationLevel.PROCESS else below
