"""A consumer that outlives its connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.abc

from enclaved.clock import RandomBytes
from enclaved.errors import ConfigurationError, ProtocolError, TransportError
from enclaved.mqtt.acknowledgements import Arrivals, Slots
from enclaved.mqtt.link import Dial, Opening, Received
from enclaved.mqtt.reconnection import Reconnection, run_beside
from enclaved.mqtt.topic_filters import parse_topic_filter
from enclaved.mqtt.transport import Consumer, Delivery, FirstConnection, Observer, Role, Session

__all__ = ["consume_by"]

_MOST_SLOTS = 65_535  # what Receive Maximum can say (section 3.1.2.11.3)


@asynccontextmanager
async def consume_by(
    dial: Dial,
    *,
    client_id: str,
    topics: Sequence[str],
    slots: int,
    session: Session,
    first: FirstConnection,
    observer: Observer,
    random: RandomBytes,
) -> AsyncIterator[Consumer]:
    """Keep a consuming connection up, as `Transport.consume` promises.

    Raises:
        ConfigurationError: no topics, topics that are no filters, or no slots.
        TransportError: the first connection had to succeed and did not.
    """
    _check(topics, slots)
    reconnection = Reconnection(role=Role.CONSUMER, client_id=client_id, first=first, observer=observer, random=random)
    consumer = _Consumer(dial, topics=topics, slots=slots, session=session, reconnection=reconnection)
    async with run_beside(consumer.run, name=f"mqtt consumer {client_id}"):
        yield consumer


class _Consumer:
    def __init__(
        self, dial: Dial, *, topics: Sequence[str], slots: int, session: Session, reconnection: Reconnection
    ) -> None:
        self._dial = dial
        self._topics = tuple(topics)
        self._receive_maximum = slots
        self._session = session
        self._reconnection = reconnection
        self._clean_start = session.clean_start
        self._slots = Slots(slots, on_free=self._wake)
        self._arrivals = Arrivals(self._slots)
        self._something = anyio.Event()
        self._subscribed = anyio.Event()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Keep the connection up."""
        await self._reconnection.run(self._live, task_status=task_status)

    def __aiter__(self) -> AsyncIterator[Delivery]:
        return self

    async def __anext__(self) -> Delivery:
        while (delivery := self._arrivals.hand_out()) is None:
            something = self._something = anyio.Event()
            await something.wait()
        return delivery

    async def subscribed(self) -> None:
        """Wait until the broker has granted every topic on the present connection."""
        while not self._subscribed.is_set():
            await self._subscribed.wait()

    async def _live(self) -> TransportError:
        """Live one connection: connect, subscribe, receive; return how it was lost."""
        arrivals = self._arrivals = Arrivals(self._slots)

        def received(message: Received) -> None:
            arrivals.add(message)
            self._wake()

        opening = Opening(
            clean_start=self._clean_start,
            session_expiry_s=self._session.expiry_s,
            receive_maximum=self._receive_maximum,
            received=received,
        )
        try:
            async with self._dial(opening) as link:
                self._clean_start = False  # from here on the session is our own
                # After every connect: free where the session still has it, needed where the broker lost it.
                await link.subscribe(self._topics)
                self._subscribed.set()
                self._reconnection.connected(link)
                return await link.lost()
        finally:
            arrivals.close()
            if self._subscribed.is_set():
                self._subscribed = anyio.Event()

    def _wake(self) -> None:
        if not self._something.is_set():
            self._something.set()


def _check(topics: Sequence[str], slots: int) -> None:
    if not topics:
        raise ConfigurationError("topics", "are empty", remedy="Name at least one topic filter")
    if not 0 < slots <= _MOST_SLOTS:
        raise ConfigurationError("slots", "are not from 1 to 65535", remedy="Give a number in that range")
    for topic in topics:
        try:
            parse_topic_filter(topic)
        except ProtocolError as error:
            raise ConfigurationError("topics", str(error), remedy="Name valid topic filters") from error
