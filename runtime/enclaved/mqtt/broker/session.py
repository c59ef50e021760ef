"""One client's session: what it subscribed to, and what waits for it (MQTT 5.0, section 4.1).

A message leaves the session when the client has acknowledged it, never before.
After a reconnect the unacknowledged ones are sent again first, in their order,
under the same packet identifiers and marked as duplicates (section 4.4).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from enclaved.mqtt.broker.publication import LastWill, Publication
from enclaved.mqtt.broker.subscriptions import Share, Subscription

__all__ = ["Budget", "Holder", "Outgoing", "Session", "Waiting"]

_LAST_ID = 65_535
_NEVER = 0xFFFFFFFF  # section 3.1.2.11.2: this session expiry interval does not end


class Holder(Protocol):
    """The connection that a session is attached to."""

    def wake(self) -> None:
        """Learn that the session has something to send."""
        ...

    def displace(self) -> None:
        """Let go of the session: another connection of the same client takes it."""
        ...


class Budget:
    """Bytes that all sessions of a broker share."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return self._left

    def take(self, size: int) -> None:
        """Use some up."""
        self._left -= size

    def give_back(self, size: int) -> None:
        """Return what is no longer held."""
        self._left += size


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A publication as it waits for one client.

    Attributes:
        publication: the message.
        qos: at which it goes out.
        retain: the flag that it goes out with.
        identifiers: of the subscriptions that it matched.
        share: the shared subscription that it came by, or None.
    """

    publication: Publication
    qos: int
    retain: bool
    identifiers: tuple[int, ...] = ()
    share: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A message that is to be sent now.

    Attributes:
        waiting: the message.
        packet_id: its packet identifier; None at QoS 0.
        duplicate: it was sent before.
    """

    waiting: Waiting
    packet_id: int | None
    duplicate: bool


class Session:
    """What the broker keeps for one client id.

    Attributes:
        client_id: whose it is.
        expiry_s: how long it outlives its connection.
        ends_at: when it ends, on the broker's monotonic clock; None while attached, or for ever.
        subscriptions: by the text of their filter.
        holder: the connection that it is attached to.
        will: what to publish at `will_at`.
        will_at: when; None while the client is connected.
    """

    def __init__(self, client_id: str, *, limit: int, budget: Budget) -> None:
        self.client_id = client_id
        self.expiry_s = 0
        self.ends_at: float | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.holder: Holder | None = None
        self.will: LastWill | None = None
        self.will_at: float | None = None
        self._limit = limit
        self._budget = budget
        self._bytes = 0
        self._queue: deque[Waiting] = deque()
        self._unacknowledged: dict[int, Waiting] = {}
        self._again: deque[int] = deque()
        self._last_id = 0

    @property
    def queued_bytes(self) -> int:
        """What waits here, in bytes, sent but unacknowledged messages included."""
        return self._bytes

    def has_room(self, cost: int) -> bool:
        """Tell whether that many more bytes may wait here."""
        return self._bytes + cost <= self._limit

    def offer(self, waiting: Waiting) -> None:
        """Queue a message; the caller has checked the room."""
        self._queue.append(waiting)
        self._hold(waiting)
        if self.holder is not None:
            self.holder.wake()

    def attach(self, holder: Holder) -> None:
        """Begin a connection: what is unacknowledged goes out again, first."""
        self.holder = holder
        self.ends_at = None
        self._again = deque(self._unacknowledged)

    def detach(self, *, now: float) -> None:
        """End a connection; QoS 0 does not wait for the next one."""
        self.holder = None
        self.ends_at = None if self.expiry_s == _NEVER else now + self.expiry_s
        kept = deque(waiting for waiting in self._queue if waiting.qos)
        for waiting in self._queue:
            if not waiting.qos:
                self._release(waiting)
        self._queue = kept

    def next_outgoing(self, *, receive_maximum: int, now: float) -> Outgoing | None:
        """Return what to send next, if anything may be sent.

        Args:
            receive_maximum: how much the client wants unacknowledged at once (section 3.1.2.11.3).
            now: expired messages are dropped.
        """
        if len(self._unacknowledged) - len(self._again) >= receive_maximum:
            return self._next_unlimited(now=now)
        if self._again:
            packet_id = self._again.popleft()
            return Outgoing(waiting=self._unacknowledged[packet_id], packet_id=packet_id, duplicate=True)
        while self._queue:
            waiting = self._queue.popleft()
            if waiting.publication.expired(now):
                self._release(waiting)
                continue
            if not waiting.qos:
                self._release(waiting)
                return Outgoing(waiting=waiting, packet_id=None, duplicate=False)
            packet_id = self._new_id()
            self._unacknowledged[packet_id] = waiting
            return Outgoing(waiting=waiting, packet_id=packet_id, duplicate=False)
        return None

    def acknowledge(self, packet_id: int) -> bool:
        """Let a message go; tell whether it was one that this connection has been sent."""
        if packet_id in self._again or packet_id not in self._unacknowledged:
            return False
        self._release(self._unacknowledged.pop(packet_id))
        return True

    def drain(self) -> list[Waiting]:
        """Take out everything that waits here: the session ends."""
        left = [*self._unacknowledged.values(), *self._queue]
        for waiting in left:
            self._release(waiting)
        self._unacknowledged.clear()
        self._queue.clear()
        self._again.clear()
        return left

    def _next_unlimited(self, *, now: float) -> Outgoing | None:
        """Return the head of the queue if it is at QoS 0, which Receive Maximum does not count."""
        while self._queue and not self._queue[0].qos:
            waiting = self._queue.popleft()
            self._release(waiting)
            if not waiting.publication.expired(now):
                return Outgoing(waiting=waiting, packet_id=None, duplicate=False)
        return None

    def _new_id(self) -> int:
        while True:
            self._last_id = self._last_id % _LAST_ID + 1
            if self._last_id not in self._unacknowledged:
                return self._last_id

    def _hold(self, waiting: Waiting) -> None:
        self._bytes += waiting.publication.cost
        self._budget.take(waiting.publication.cost)

    def _release(self, waiting: Waiting) -> None:
        self._bytes -= waiting.publication.cost
        self._budget.give_back(waiting.publication.cost)
