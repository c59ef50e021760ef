"""How well a function is kept apart, as a closed set of levels.

The level goes into the key bundle and into every receipt, where policies and
people read it: so it names what was built and proved, never what was wished for.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["IsolationLevel", "describe"]


class IsolationLevel(StrEnum):
    """What stands between a function and everything else."""

    FULL = "full"
    RESTRICTED = "restricted"
    MEMORY_SAFE = "memory-safe"


_DESCRIPTIONS: Final = {
    IsolationLevel.FULL: "isolated: namespaces, own user, Landlock, seccomp and resource limits",
    IsolationLevel.RESTRICTED: "isolated: Landlock, seccomp and resource limits, without namespaces",
    IsolationLevel.MEMORY_SAFE: "isolated by WebAssembly alone, with no sandbox below it",
}


def describe(level: IsolationLevel) -> str:
    """Return what a level means, in words for people."""
    return _DESCRIPTIONS[level]
