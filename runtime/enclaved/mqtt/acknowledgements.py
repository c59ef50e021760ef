"""Slots, and acknowledgements in delivery order (MQTT 5.0, sections 4.6 and 4.9); no input or output."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from enclaved.mqtt.link import Received
from enclaved.mqtt.transport import Delivery

__all__ = ["Arrivals", "Slots"]


class Slots:
    """How many deliveries may be in their receiver's hands at once, over all connections."""

    def __init__(self, count: int, *, on_free: Callable[[], None]) -> None:
        self._free = count
        self._on_free = on_free

    @property
    def any_free(self) -> bool:
        """Whether another delivery may be handed out."""
        return self._free > 0

    def take(self) -> None:
        """Take one."""
        self._free -= 1

    def give_back(self) -> None:
        """Return one."""
        self._free += 1
        self._on_free()


class _Handed:
    """One delivery in its receiver's hands."""

    __slots__ = ("done", "received")

    def __init__(self, received: Received) -> None:
        self.received = received
        self.done = False


class Arrivals:
    """What one connection delivered: waiting, handed out, acknowledged in order.

    An acknowledgement is held back until all earlier ones are made: the standard wants
    that order, and brokers exist that lose messages without it. Its slot stays taken until
    then. When the connection is lost nothing more is sent; a delivery that is still in its
    receiver's hands keeps its slot until it is done with, so that reconnecting does not
    multiply the work.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._waiting: deque[Received] = deque()
        self._handed: deque[_Handed] = deque()
        self._closed = False

    def add(self, received: Received) -> None:
        """Note a message that came in."""
        if not self._closed:
            self._waiting.append(received)

    def hand_out(self) -> Delivery | None:
        """Return the next delivery, if there is one and a slot for it."""
        if not self._waiting or not self._slots.any_free:
            return None
        handed = _Handed(self._waiting.popleft())
        self._slots.take()
        self._handed.append(handed)
        received = handed.received
        return Delivery(received.message, duplicate=received.duplicate, acknowledge=lambda: self._done(handed))

    def close(self) -> None:
        """The connection is lost: forget what waits, and send nothing any more."""
        self._closed = True
        self._waiting.clear()
        for handed in self._handed:
            if handed.done:
                self._slots.give_back()
        self._handed.clear()

    def _done(self, handed: _Handed) -> None:
        if self._closed:
            self._slots.give_back()
            return
        handed.done = True
        while self._handed and self._handed[0].done:
            self._handed.popleft().received.acknowledge()
            self._slots.give_back()
