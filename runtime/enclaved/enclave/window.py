"""A sliding window over sequences: tells new from seen, in constant memory (as RFC 4303, section 3.4.3)."""

from __future__ import annotations

from enum import Enum

__all__ = ["WINDOW_WIDTH", "Place", "ReplayWindow"]

WINDOW_WIDTH = 4096
"""How far behind the highest sequence a message may come and still be told new from seen."""


class Place(Enum):
    """Where a sequence falls."""

    NEW = "new"
    SEEN = "seen"
    OUTSIDE = "outside"


class ReplayWindow:
    """The sequences of one session that were accepted, as far as they are remembered."""

    __slots__ = ("_bits", "_highest")

    def __init__(self) -> None:
        self._highest = -1
        self._bits = 0  # bit n: highest - n was accepted

    def place(self, sequence: int) -> Place:
        """Tell whether a sequence is new, seen, or too old to tell; changes nothing."""
        behind = self._highest - sequence
        if behind < 0:
            return Place.NEW
        if behind >= WINDOW_WIDTH:
            return Place.OUTSIDE
        return Place.SEEN if self._bits >> behind & 1 else Place.NEW

    def accept(self, sequence: int) -> None:
        """Remember a sequence that `place` called new, once its message is known to be authentic.

        An attacker who cannot seal must not be able to move the window.
        """
        ahead = sequence - self._highest
        if ahead > 0:
            self._bits = (self._bits << ahead | 1) & ((1 << WINDOW_WIDTH) - 1) if ahead < WINDOW_WIDTH else 1
            self._highest = sequence
        else:
            self._bits |= 1 << -ahead
