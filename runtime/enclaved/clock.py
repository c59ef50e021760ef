"""Time and randomness, taken as arguments.

What decides by time takes one instant (`at`); what lives for a while takes a
`Clock`. So tests move time instead of sleeping, and verification never reads a
clock of its own. Inside an enclave the wall clock is the host's claim: code
there names it `host_time` and lets no security check rest on it alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "RandomBytes", "SystemClock", "system_random", "unix_ms"]

RandomBytes = Callable[[int], bytes]
"""A source of that many unpredictable bytes."""


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that nobody sets back."""
        ...


class SystemClock:
    """The operating system's clocks."""

    def now(self) -> datetime:
        """Return the system's wall-clock time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds on the system's monotonic clock."""
        return time.monotonic()


def system_random(size: int) -> bytes:
    """Return `size` bytes from the operating system's generator."""
    return os.urandom(size)


def unix_ms(at: datetime) -> int:
    """Return an aware time as the wire carries it: Unix time in whole milliseconds."""
    return int(at.timestamp() * 1000)
