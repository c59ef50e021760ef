"""How busy a function is, and whether an invocation that comes now can start in time.

An invocation that would only start after its caller stopped waiting is refused at
once, while the caller can still do something about it. The estimate is made of
times that the host's clock gave: it protects service, not security.
"""

from __future__ import annotations

__all__ = ["FunctionLoad"]

_WEIGHT = 0.2  # of the newest duration in the moving average
_PRUDENCE = 1.5  # the estimate is an average; who is admitted by a hair starts too late half of the time


class FunctionLoad:
    """What one function has to do, and how long it takes to do it."""

    def __init__(self, *, parallel: int, waiting: int) -> None:
        """Begin with nothing to do.

        Args:
            parallel: how many invocations run at once.
            waiting: how many more may wait.
        """
        self._parallel = parallel
        self._most = parallel + waiting
        self._admitted = 0
        self._average_s = 0.0

    @property
    def is_idle(self) -> bool:
        """Return whether nothing of it runs or waits."""
        return self._admitted == 0

    def start_in_s(self) -> float:
        """Return in how many seconds an invocation that comes now is likely to start."""
        ahead = self._admitted - self._parallel + 1
        return max(0.0, ahead / self._parallel * self._average_s)

    def can_start_within(self, seconds: float) -> bool:
        """Tell whether one more invocation fits, and would surely enough start within that time."""
        return self._admitted < self._most and self.start_in_s() * _PRUDENCE < seconds

    def admit(self) -> None:
        """Count one more invocation."""
        self._admitted += 1

    def finish(self, duration_s: float) -> None:
        """Count an invocation that ended, and learn from how long it ran."""
        self._admitted -= 1
        self._average_s += _WEIGHT * (duration_s - self._average_s)

    def abandon(self) -> None:
        """Count an invocation that was not started after all."""
        self._admitted -= 1
