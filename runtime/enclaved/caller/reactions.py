"""What a caller does upon a hint, which anyone can forge.

A hint never changes what is accepted or what was sealed. It may make us send the
same bytes again, open another session, or verify the runtime afresh: a few times
for each invocation, further and further apart. After that hints are not listened
to, and the invocation's own timeout decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from enclaved.wire.hint import HintCode

__all__ = ["MAX_REACTIONS", "RESEND_AFTER_S", "PlannedReaction", "Reaction", "Reactions", "resend_delay"]

MAX_REACTIONS = 4
RESEND_AFTER_S = 1.0
_MAX_RESEND_DELAY_S = 30.0
_SPACING_S = (0.0, 0.05, 0.2, 0.8)  # before the first, second … reaction: an honest runtime hints within milliseconds


class Reaction(Enum):
    """What to do."""

    RESEND = "resend"
    """Send the same bytes, with the offer."""
    NEW_SESSION = "new session"
    """Seal anew in another session with the same bundle."""
    VERIFY_AFRESH = "verify afresh"
    """Verify the runtime's present bundle; seal anew for another one, else send the same bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedReaction:
    """One reaction.

    Attributes:
        reaction: what to do.
        delay_s: how long to wait before it, in seconds.
    """

    reaction: Reaction
    delay_s: float


class Reactions:
    """The reactions of one invocation to hints: a closed budget.

    Attributes:
        codes: the codes that came, each once, in the order of their first coming.
        key_doubted: a hint said that the runtime no longer holds the key.
    """

    def __init__(self) -> None:
        self.codes: tuple[HintCode, ...] = ()
        self.key_doubted = False
        self._spent = 0
        self._resent = False

    def to(self, code: HintCode) -> PlannedReaction | None:
        """Plan the reaction to a hint.

        Args:
            code: the hint's.

        Returns:
            What to do, or None when the budget is spent.
        """
        if code not in self.codes:
            self.codes += (code,)
        self.key_doubted |= code == "key_unknown"
        if self._spent >= MAX_REACTIONS:
            return None
        delay_s = _SPACING_S[self._spent]
        self._spent += 1
        return PlannedReaction(reaction=self._choose(code), delay_s=delay_s)

    def _choose(self, code: HintCode) -> Reaction:
        if code == "key_unknown":
            return Reaction.VERIFY_AFRESH
        # The same bytes once more: the offer may have been lost, or the message damaged. Then another session.
        self._resent = not self._resent
        return Reaction.RESEND if self._resent else Reaction.NEW_SESSION


def resend_delay(resent: int) -> float:
    """Return how long to wait for an answer before the next resend, in seconds.

    Args:
        resent: how often the waiting ended without one.
    """
    return min(RESEND_AFTER_S * float(1 << min(resent, 16)), _MAX_RESEND_DELAY_S)
