"""What one invocation of a function may use, and how many may run at once.

Every bound of the sandbox that a manifest or an operator can choose stands here
with the range that it may have; what nobody can choose is a constant of the file
that enforces it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from enclaved.errors import ConfigurationError

__all__ = ["LOAD_TIME_S", "LOG_BYTES", "Limits", "PoolSize"]

LOG_BYTES: Final = 16 * 1024
"""The most of a function's stdout and stderr that is kept, the mark of a cut included."""

LOAD_TIME_S: Final = 15.0
"""How long a function's module may take to load: importing numpy cold takes a second on a slow disk."""

_MAX_TIME_MS: Final = 3_600_000
_MIN_MEMORY_MIB: Final = 16  # below this an interpreter cannot even report that memory ran out
_MAX_MEMORY_MIB: Final = 1024 * 1024
_MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one invocation may use.

    Attributes:
        time_ms: wall-clock time from the moment its input is written, in milliseconds.
        memory_mib: address space beyond what the preloaded libraries already take, in MiB.
        input_bytes: the largest input.
        output_bytes: the largest output.

    Raises:
        ConfigurationError: a value is outside its range.
    """

    time_ms: int = 10_000
    memory_mib: int = 256
    input_bytes: int = 1024 * 1024
    output_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        _require_range("limits.time_ms", self.time_ms, low=1, high=_MAX_TIME_MS)
        _require_range("limits.memory_mib", self.memory_mib, low=_MIN_MEMORY_MIB, high=_MAX_MEMORY_MIB)
        _require_range("limits.input_bytes", self.input_bytes, low=0, high=_MAX_MESSAGE_BYTES)
        _require_range("limits.output_bytes", self.output_bytes, low=0, high=_MAX_MESSAGE_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSize:
    """How many processes a function may have.

    Attributes:
        spares: processes that are loaded and wait for an input.
        processes: all its processes, spares and running ones together.
        waiting: invocations that wait for a spare; one more is refused at once.

    Raises:
        ConfigurationError: a value is outside its range.
    """

    spares: int = 2
    processes: int = 6
    waiting: int = 256

    def __post_init__(self) -> None:
        _require_range("pool.spares", self.spares, low=1, high=64)
        _require_range("pool.processes", self.processes, low=self.spares, high=256)
        _require_range("pool.waiting", self.waiting, low=0, high=65_536)


def _require_range(where: str, value: int, *, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ConfigurationError(where, f"{value} is out of range", remedy=f"Use a number from {low} to {high}.")
