"""How much address space a process has, and how much of it can be written, found out by trying.

The kernel tells it in /proc only, and there is none in a sandbox. But it compares
it with a limit whenever more is mapped, so the lowest limit under which one more
page can still be mapped gives it away (getrlimit(2), RLIMIT_AS and RLIMIT_DATA).
"""

from __future__ import annotations

import mmap
import resource
from typing import Final

__all__ = ["address_space", "writable_space"]

_MOST: Final = 1 << 52  # more than any processor maps


def address_space() -> int:
    """Return the bytes of address space that this process has now, exact to a page."""
    return _lowest(resource.RLIMIT_AS)


def writable_space() -> int:
    """Return the bytes of memory of its own that this process can write to now, exact to a page."""
    return _lowest(resource.RLIMIT_DATA)


def _lowest(which: int) -> int:
    """Return the lowest limit that leaves room for another page."""
    soft, hard = resource.getrlimit(which)
    low, high = 0, _MOST if hard == resource.RLIM_INFINITY else hard
    try:
        while high - low > mmap.PAGESIZE:
            middle = (low + high) // 2
            resource.setrlimit(which, (middle, hard))
            if _has_room():
                high = middle
            else:
                low = middle
    finally:
        resource.setrlimit(which, (soft, hard))
    return high


def _has_room() -> bool:
    try:
        mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, MemoryError):
        return False
    return True
