"""A broker in memory, behind the transport interface: QoS 1, sessions, retained messages, and faults on demand.

It keeps a journal of what it took and what was acknowledged to it, in order, so
that tests can say which came first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from enclaved.errors import TransportError
from enclaved.mqtt.topic_filters import filter_matches, parse_topic_filter
from enclaved.mqtt.transport import (
    DURABLE,
    Connection,
    ConnectionEvent,
    ConnectionState,
    Delivery,
    FirstConnection,
    Message,
    Observer,
    Role,
    Session,
    ignore_events,
)

__all__ = ["FakeBroker"]


@dataclass
class _Held:
    message: Message
    duplicate: bool = False


@dataclass
class _Subscription:
    filters: set[str] = field(default_factory=set)
    waiting: deque[_Held] = field(default_factory=deque)


class FakeBroker:
    """The broker, and the transport that reaches it.

    Attributes:
        journal: ``("offered", topic)`` and ``("took", topic)`` for what the gateway publishes or a
            test sends, and ``("acknowledged", topic)``, in order.
        taken: every message that it took.
        retained: what it keeps by topic.
        refuse: reason codes by topic for what it does not take.
        withheld: topics whose messages it takes only once their event is set.
        clients: the client ids that are connected now.
        hangs_on_leaving: whether a connection that is left waits for an answer that never comes.
        most_under_way: the most unacknowledged deliveries that each client has had.
    """

    name = "fake"

    def __init__(self) -> None:
        self.journal: list[tuple[str, str]] = []
        self.taken: list[Message] = []
        self.retained: dict[str, Message] = {}
        self.refuse: dict[str, int] = {}
        self.withheld: dict[str, anyio.Event] = {}
        self.clients: list[str] = []
        self.hangs_on_leaving = False
        self.most_under_way: dict[str, int] = {}
        self._sessions: dict[str, _Subscription] = {}
        self._connections: list[_Connected] = []
        self._changed = anyio.Event()

    def send(self, message: Message) -> None:
        """Take a message and hand it to whoever subscribes to its topic."""
        self.taken.append(message)
        if message.retain and message.payload:
            self.retained[message.topic] = message
        elif message.retain:
            self.retained.pop(message.topic, None)
        for session in self._sessions.values():
            if any(_matches(each, message.topic) for each in session.filters):
                session.waiting.append(_Held(message))
        self.note("took", message.topic)

    def to(self, topic: str) -> list[Message]:
        """Return what it took on a topic."""
        return [message for message in self.taken if message.topic == topic]

    def waiting_for(self, client_id: str) -> int:
        """Return how many messages wait in a client's session."""
        return len(self._sessions[client_id].waiting)

    async def until(self, true: Callable[[], object]) -> None:
        """Wait until something is so; it is looked at after each change."""
        with anyio.fail_after(10):
            while not true():
                await self._changed.wait()

    async def until_taken(self, topic: str, *, count: int = 1) -> list[Message]:
        """Wait until it has taken so many messages on a topic."""
        await self.until(lambda: len(self.to(topic)) >= count)
        return self.to(topic)

    def note(self, what: str, topic: str) -> None:
        """Write into the journal and wake who waits."""
        self.journal.append((what, topic))
        self.wake()

    def wake(self) -> None:
        """Have all conditions looked at again."""
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    def lose_connections(self, *, forget_retained: bool = False) -> None:
        """Lose every connection; all come back at once, as after a restart."""
        if forget_retained:
            self.retained.clear()
        for connected in list(self._connections):
            connected.lose()
        self.wake()

    @asynccontextmanager
    async def consume(
        self,
        connection: Connection,
        *,
        topics: Sequence[str],
        slots: int,
        session: Session = DURABLE,
        first: FirstConnection = FirstConnection.KEEP_TRYING,
        observer: Observer = ignore_events,
    ) -> AsyncIterator[_Consumer]:
        """Open a consuming connection."""
        client_id = connection.client_id
        if session.clean_start:
            self._sessions.pop(client_id, None)
        kept = self._sessions.setdefault(client_id, _Subscription())
        kept.filters |= set(topics)
        consumer = _Consumer(self, connection, kept, slots=slots, observer=observer)
        for topic, message in self.retained.items():
            if any(_matches(each, topic) for each in topics):
                kept.waiting.append(_Held(message))
        with self._connected(consumer):
            try:
                yield consumer
            finally:
                consumer.requeue()
                if self.hangs_on_leaving:
                    await anyio.sleep_forever()
                if session.expiry_s == 0:
                    del self._sessions[client_id]

    @asynccontextmanager
    async def publish(
        self,
        connection: Connection,
        *,
        window: int = 64,
        first: FirstConnection = FirstConnection.KEEP_TRYING,
        observer: Observer = ignore_events,
    ) -> AsyncIterator[_Publisher]:
        """Open a publishing connection."""
        publisher = _Publisher(self, connection, observer=observer)
        with self._connected(publisher):
            yield publisher
            if self.hangs_on_leaving:
                await anyio.sleep_forever()

    def _connected(self, connected: _Connected) -> _Registered:
        return _Registered(self, connected, self._connections)


def _matches(topic_filter: str, topic: str) -> bool:
    return filter_matches(parse_topic_filter(topic_filter).levels, topic)


class _Connected:
    """One connection as the broker sees it."""

    role = Role.PUBLISHER

    def __init__(self, broker: FakeBroker, connection: Connection, *, observer: Observer) -> None:
        self.broker = broker
        self.client_id = connection.client_id
        self._observer = observer
        self._tell(ConnectionState.CONNECTED)

    def lose(self) -> None:
        """Lose the connection and have it back."""
        self._tell(ConnectionState.LOST)
        self._tell(ConnectionState.CONNECTED)

    def _tell(self, state: ConnectionState) -> None:
        reason = "" if state is ConnectionState.CONNECTED else "lost on demand"
        self._observer(ConnectionEvent(role=self.role, client_id=self.client_id, state=state, reason=reason))


class _Registered:
    """A connection between its making and its end; one client id is connected once (MQTT 5, section 3.1.4)."""

    def __init__(self, broker: FakeBroker, connected: _Connected, connections: list[_Connected]) -> None:
        self._broker = broker
        self._connected = connected
        self._connections = connections

    def __enter__(self) -> None:
        assert self._connected.client_id not in self._broker.clients, "a client id is connected twice"
        self._broker.clients.append(self._connected.client_id)
        self._connections.append(self._connected)
        self._broker.wake()

    def __exit__(self, *error: object) -> None:
        self._broker.clients.remove(self._connected.client_id)
        self._connections.remove(self._connected)
        self._broker.wake()


class _Publisher(_Connected):
    async def publish(self, message: Message) -> None:
        self.broker.note("offered", message.topic)
        if (withheld := self.broker.withheld.get(message.topic)) is not None:
            await withheld.wait()
        await anyio.lowlevel.checkpoint()
        if (code := self.broker.refuse.get(message.topic)) is not None:
            raise TransportError("refused on demand", reason_code=code)
        self.broker.send(message)


class _Consumer(_Connected):
    role = Role.CONSUMER

    def __init__(
        self, broker: FakeBroker, connection: Connection, kept: _Subscription, *, slots: int, observer: Observer
    ) -> None:
        super().__init__(broker, connection, observer=observer)
        self._kept = kept
        self._slots = slots
        self._under_way: dict[int, _Held] = {}
        self._number = 0

    def __aiter__(self) -> _Consumer:
        return self

    async def __anext__(self) -> Delivery:
        await anyio.lowlevel.checkpoint()
        while not self._kept.waiting or len(self._under_way) >= self._slots:
            await self.broker.changed()
        held = self._kept.waiting.popleft()
        self._number += 1
        self._under_way[self._number] = held
        most = self.broker.most_under_way
        most[self.client_id] = max(most.get(self.client_id, 0), len(self._under_way))
        number = self._number
        return Delivery(held.message, duplicate=held.duplicate, acknowledge=lambda: self._acknowledge(number))

    async def subscribed(self) -> None:
        await anyio.lowlevel.checkpoint()

    def lose(self) -> None:
        self.requeue()
        super().lose()

    def requeue(self) -> None:
        """Put back what was not acknowledged: it is delivered again."""
        for held in reversed(self._under_way.values()):
            self._kept.waiting.appendleft(_Held(held.message, duplicate=True))
        self._under_way.clear()

    def _acknowledge(self, number: int) -> None:
        held = self._under_way.pop(number, None)
        if held is not None:
            self.broker.note("acknowledged", held.message.topic)
