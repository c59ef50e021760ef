"""What a caller takes from its surroundings: time, randomness and the roots of trust.

They are values handed in, so that tests move time and construct roots; nothing that
a person configures reaches them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from enclaved.clock import Clock, RandomBytes, SystemClock, system_random
from enclaved.verifier.roots import RELEASED_ROOTS, Roots

__all__ = ["Surroundings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Time, randomness and roots.

    Attributes:
        clock: tells the time.
        random: makes ids, nonces and secrets.
        roots: the pinned roots; only tests give others than the released ones.
    """

    clock: Clock = field(default_factory=SystemClock)
    random: RandomBytes = system_random
    roots: Roots = RELEASED_ROOTS
