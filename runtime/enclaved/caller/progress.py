"""Progress: what a caller is doing, for whoever displays or counts it.

The set of steps is closed, and a step carries no payload, output or key. An
observer is told in the event loop; it must neither block nor raise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

__all__ = ["Progress", "ProgressObserver", "Step", "ignore_progress"]


class Step(Enum):
    """One thing that a caller does or notices."""

    CONNECTING = "connecting"
    """To the broker."""
    DISCOVERING = "discovering"
    """Waiting for runtimes to be announced."""
    CHALLENGED = "challenged"
    """A nonce of our own was sent to a runtime."""
    VERIFIED = "verified"
    """A runtime's attestation was accepted by the policy."""
    SEALED = "sealed"
    """An invocation was sealed to a verified key; again after each reason to seal it anew."""
    SENT = "sent"
    """The broker has it."""
    WAITING = "waiting"
    """For the answer."""
    RESENT = "resent"
    """The same bytes were sent once more."""
    HINTED = "hinted"
    """An unauthenticated hint came, and is reacted to."""
    DROPPED = "dropped"
    """Something came that is no answer of ours: forged, turned or late."""
    ANSWERED = "answered"
    """The answer was verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One step of one caller.

    Attributes:
        step: what happened.
        runtime_id: with which runtime, or empty.
        invocation_id: for which invocation, or None.
        detail: a word more, such as a hint's code; never contents.
    """

    step: Step
    runtime_id: str = ""
    invocation_id: bytes | None = None
    detail: str = ""


ProgressObserver = Callable[[Progress], None]
"""Told of every step."""


def ignore_progress(progress: Progress) -> None:
    """Observe nothing."""
