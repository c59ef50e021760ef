"""Timing one step many times, on the clock that nobody sets back.

A step is timed by itself, and what prepares it is not. The first runs are not
counted: they fill caches that every later run finds filled. A slow step ends the
measurement by its time limit, with fewer runs, and the number of runs is reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from enclaved.clock import Clock

__all__ = ["Plan", "Timings", "measure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long to measure.

    Attributes:
        runs: how many runs to count.
        uncounted: how many to make before.
        longest_s: after so many seconds no further run is begun; one is always counted.
    """

    runs: int = 200
    uncounted: int = 10
    longest_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Timings:
    """How long each run took, in seconds; at least one.

    Attributes:
        seconds: in the order of the runs.
    """

    seconds: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.seconds:
            raise ValueError("no run was timed")

    def percentile(self, share: float) -> float:
        """Return the least time that so many of a hundred runs did not exceed, in seconds.

        Args:
            share: from 0 to 100. The time is one that was measured: nothing is interpolated.
        """
        place = math.ceil(share / 100 * len(self.seconds))
        return sorted(self.seconds)[max(place, 1) - 1]


def measure(
    steps: Sequence[Callable[[], object]],
    *,
    plan: Plan,
    clock: Clock,
    prepare: Callable[[], object] = lambda: None,
) -> Timings:
    """Time steps that stand for each other, in turn.

    Args:
        steps: what to time; at least one.
        plan: how long.
        clock: its monotonic side is used.
        prepare: what is done before each step, untimed.

    Returns:
        One time for each counted run.
    """
    for number in range(plan.uncounted):
        prepare()
        steps[number % len(steps)]()
    seconds: list[float] = []
    end = clock.monotonic() + plan.longest_s
    while len(seconds) < plan.runs and (not seconds or clock.monotonic() < end):
        step = steps[len(seconds) % len(steps)]
        prepare()
        start = clock.monotonic()
        step()
        seconds.append(clock.monotonic() - start)
    return Timings(tuple(seconds))
