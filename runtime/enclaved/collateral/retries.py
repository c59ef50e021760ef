"""When to ask again, and after how long: exponential, with jitter, and bounded."""

from __future__ import annotations

from dataclasses import dataclass

from enclaved.clock import RandomBytes
from enclaved.collateral.error import CollateralError

__all__ = ["Retries"]

_RANDOM_SIZE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often to ask, and how long to wait between.

    Attributes:
        attempts: how often in all.
        first_s: the wait after the first attempt, before jitter; it doubles each time.
        longest_s: the longest wait, also where a service asks for one: one that asks for more is not
            asked again, since it would answer as before.
    """

    attempts: int = 4
    first_s: float = 0.5
    longest_s: float = 20.0

    def wait_after(self, attempt: int, error: CollateralError, *, random: RandomBytes) -> float | None:
        """Return how many seconds to wait before asking again, or None to give up.

        Args:
            attempt: how many attempts were made, from 1.
            error: why the last one failed.
            random: makes the jitter, so that callers who failed together do not ask together again.
        """
        if not error.passing or attempt >= self.attempts:
            return None
        if error.wait_s is not None and error.wait_s > self.longest_s:
            return None
        share = int.from_bytes(random(_RANDOM_SIZE), "big") / (1 << 8 * _RANDOM_SIZE)
        wait_s: float = min(self.longest_s, self.first_s * 2 ** (attempt - 1)) * (0.5 + share / 2)
        return max(wait_s, error.wait_s or 0.0)
