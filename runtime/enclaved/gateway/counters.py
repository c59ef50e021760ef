"""What the gateway counts: a closed list, so that a metric's name is never the sender's text."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Counter", "Counters"]


class Counter(StrEnum):
    """Everything that is counted, by the name under which it is shown."""

    RECEIVED = "received"
    """Deliveries on invoke and trigger topics."""
    REDELIVERED = "redelivered"
    """Those of them that the broker marks as delivered before."""

    RETAINED = "retained"
    OVERSIZE = "oversize"
    MALFORMED = "malformed"
    FOREIGN = "foreign"
    """They name another runtime."""
    BAD_REPLY_TOPIC = "bad_reply_topic"

    ANSWERED = "answered"
    REFUSED = "refused"
    """By the enclave, sealed."""
    HINTED = "hinted"
    DROPPED = "dropped"
    """By the enclave, with nothing to say to anybody."""
    DEAD = "dead"
    BUSY = "busy"
    """Attempts that the enclave put off."""

    REPLY_REFUSED = "reply_refused"
    """Replies that this broker will never take."""
    REPLY_UNADDRESSED = "reply_unaddressed"
    """Replies to invocations that name no response topic."""
    OUTPUT_REFUSED = "output_refused"
    """Outputs that this broker will never take, or whose topic the gateway does not write to.

    Their invocations are dead-lettered."""
    DEAD_REFUSED = "dead_refused"
    """Dead letters that this broker will never take: lost without a record."""

    CHALLENGES = "challenges"
    CHALLENGES_ANSWERED = "challenges_answered"
    CHALLENGES_DROPPED = "challenges_dropped"

    ANNOUNCED = "announced"
    ANNOUNCEMENT_REFUSED = "announcement_refused"

    LINK_CONNECTED = "link_connected"
    LINK_LOST = "link_lost"
    RESENT = "resent"
    """Requests that were under way on a link that was lost."""
    BROKER_LOST = "broker_lost"


class Counters:
    """How often each of them happened since the start."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = dict.fromkeys(Counter, 0)

    def add(self, counter: Counter) -> None:
        """Count one more."""
        self._counts[counter] += 1

    def __getitem__(self, counter: Counter) -> int:
        return self._counts[counter]

    def snapshot(self) -> dict[str, int]:
        """Return all counts by name, zeros included."""
        return {counter.value: count for counter, count in self._counts.items()}
