"""One connection to a broker, from CONNECT to its loss; what each MQTT library is fitted to.

A link never reconnects and is never used again, so nothing of an old connection
can be mistaken for something of a new one. What outlives connections, the
order of acknowledgements and the bounds are built on top, once for all libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from enclaved.errors import TransportError
from enclaved.mqtt.transport import Message

__all__ = ["Dial", "Link", "LinkLostError", "Opening", "Received"]


class LinkLostError(TransportError):
    """The connection is gone; what was under way may or may not have reached the broker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message as it came in.

    Attributes:
        message: the message.
        duplicate: its DUP flag.
        acknowledge: sends its PUBACK; does nothing at QoS 0, or once the link is lost.
    """

    message: Message
    duplicate: bool
    acknowledge: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How one connection begins.

    Attributes:
        clean_start: drop the session that the broker has.
        session_expiry_s: how long it keeps the new one.
        receive_maximum: how many unacknowledged messages it may send.
        received: called in the event loop for each message; some come before the link is open,
            as a resumed session delivers right after CONNACK.
    """

    clean_start: bool
    session_expiry_s: int
    receive_maximum: int
    received: Callable[[Received], None]


class Link(Protocol):
    """One open connection."""

    @property
    def session_present(self) -> bool:
        """Whether the broker still had the session."""
        ...

    @property
    def receive_maximum(self) -> int:
        """How many unacknowledged publishes the broker takes (CONNACK)."""
        ...

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe at QoS 1, with the publisher's retain flag kept.

        What is retained comes when a subscription is new to the session.

        Raises:
            LinkLostError: the connection was lost first.
            TransportError: a topic was refused, or no answer came.
        """
        ...

    def publish(self, message: Message, settled: Callable[[int], None]) -> None:
        """Send a PUBLISH at QoS 1; `settled` is called with the reason code of its PUBACK, if one comes.

        Raises:
            LinkLostError: the connection is lost.
            TransportError: the broker takes no packet as large.
        """
        ...

    async def lost(self) -> LinkLostError:
        """Wait until the connection is lost, and return how."""
        ...


Dial = Callable[[Opening], AbstractAsyncContextManager[Link]]
"""Opens one connection.

Entering raises `TransportError` where it cannot be made; leaving closes it, gracefully if it still stands.
"""
