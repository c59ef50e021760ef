"""A broker in memory: a transport whose every message a test sees, and may turn."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
from anyio.abc import ObjectReceiveStream
from enclaved.errors import TransportError
from enclaved.mqtt.transport import Connection, Delivery, Message

__all__ = ["MemoryBroker"]


class MemoryBroker:
    """Routes at once and in order; `intercept` answers with what is routed instead of a message."""

    name = "memory"

    def __init__(self) -> None:
        self.published: list[Message] = []
        self.intercept: Callable[[Message], Sequence[Message]] = lambda message: (message,)
        self.refusing: TransportError | None = None
        self.connected = 0
        self._retained: dict[str, Message] = {}
        self._subscribers: list[tuple[tuple[str, ...], Callable[[Message], None]]] = []

    def subscribe(self, topics: Sequence[str], receive: Callable[[Message], None]) -> None:
        """Hand matching messages to a receiver, what is retained first."""
        self._subscribers.append((tuple(topics), receive))
        for message in list(self._retained.values()):
            if _any_match(topics, message.topic):
                receive(message)

    def publish_message(self, message: Message) -> None:
        """Take a message from a client."""
        self.published.append(message)
        for routed in self.intercept(message):
            self.route(routed)

    def route(self, message: Message) -> None:
        """Deliver a message, past the interceptor: the broker's own forgery."""
        if message.retain:
            self._retained[message.topic] = message
            if not message.payload:
                del self._retained[message.topic]
        for topics, receive in list(self._subscribers):
            if _any_match(topics, message.topic):
                receive(message)

    @asynccontextmanager
    async def consume(
        self, connection: Connection, *, topics: Sequence[str], slots: int, **options: object
    ) -> AsyncIterator[_Consumer]:
        """Open a consumer."""
        put, take = anyio.create_memory_object_stream[Message](math.inf)
        entry = (tuple(topics), put.send_nowait)
        self.subscribe(*entry)
        self.connected += 1
        try:
            with put, take:
                yield _Consumer(take)
        finally:
            self._subscribers = [each for each in self._subscribers if each[1] != entry[1]]
            self.connected -= 1

    @asynccontextmanager
    async def publish(self, connection: Connection, **options: object) -> AsyncIterator[_Publisher]:
        """Open a publisher."""
        self.connected += 1
        try:
            yield _Publisher(self)
        finally:
            self.connected -= 1


class _Consumer:
    def __init__(self, take: ObjectReceiveStream[Message]) -> None:
        self._take = take

    def __aiter__(self) -> _Consumer:
        return self

    async def __anext__(self) -> Delivery:
        return Delivery(await self._take.receive(), duplicate=False, acknowledge=lambda: None)

    async def subscribed(self) -> None:
        await anyio.lowlevel.checkpoint()


class _Publisher:
    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def publish(self, message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        if self._broker.refusing is not None:
            raise self._broker.refusing
        self._broker.publish_message(message)


def _any_match(filters: Sequence[str], topic: str) -> bool:
    levels = topic.split("/")
    return any(
        len(each.split("/")) == len(levels)
        and all(wanted in ("+", level) for wanted, level in zip(each.split("/"), levels, strict=True))
        for each in filters
    )
