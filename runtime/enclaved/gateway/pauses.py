"""Pauses between attempts: they grow, have a longest, and are jittered.

Without the jitter, everything that lost one broker or one enclave would come back
in step and knock it over again.
"""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from enclaved.clock import RandomBytes, system_random

__all__ = ["RECONNECT", "Pacing", "Pauses"]

_FRACTION = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """How long to pause.

    Attributes:
        first_s: the first pause, before jitter.
        longest_s: no pause is longer.
    """

    first_s: float
    longest_s: float


RECONNECT = Pacing(first_s=0.05, longest_s=5.0)
"""Between attempts to connect: a restarted peer is found at once, a missing one costs nothing."""


class Pauses:
    """The pauses of one row of attempts."""

    def __init__(self, pacing: Pacing, *, random: RandomBytes = system_random) -> None:
        self._pacing = pacing
        self._random = random
        self._next_s = pacing.first_s

    def reset(self) -> None:
        """Begin again with the first: what was attempted has held."""
        self._next_s = self._pacing.first_s

    def draw(self) -> float:
        """Return the next pause in seconds: between half of it and all of it, then twice as long."""
        fraction = int.from_bytes(self._random(4), "big") / _FRACTION
        pause = self._next_s * (0.5 + fraction / 2)
        self._next_s = min(self._pacing.longest_s, self._next_s * 2)
        return pause

    async def pause(self) -> None:
        """Pause once."""
        await anyio.sleep(self.draw())
