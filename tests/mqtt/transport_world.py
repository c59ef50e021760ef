"""What the tests of transports share: connections, messages, and an observer that waits."""

from __future__ import annotations

import anyio
from brokers import Server
from enclaved.mqtt.transport import (
    Connection,
    ConnectionEvent,
    ConnectionState,
    Consumer,
    Delivery,
    FirstConnection,
    Message,
)

MUST = FirstConnection.MUST_SUCCEED
MIB = 1 << 20


def as_client(server: Server, client_id: str) -> Connection:
    """Return a connection of that name."""
    return Connection(address=server.address, client_id=client_id)


def text(payload: str, topic: str = "work/a") -> Message:
    """Return a small message."""
    return Message(topic=topic, payload=payload.encode())


async def take(consumer: Consumer, count: int) -> list[Delivery]:
    """Take that many deliveries, without acknowledging any."""
    with anyio.fail_after(10):
        return [await anext(aiter(consumer)) for _ in range(count)]


def payloads(deliveries: list[Delivery]) -> list[str]:
    """Return what was delivered."""
    return [delivery.message.payload.decode() for delivery in deliveries]


class Events:
    """Remembers what an observer is told, and waits for it."""

    def __init__(self) -> None:
        self.all: list[ConnectionEvent] = []
        self._more = anyio.Event()

    def __call__(self, event: ConnectionEvent) -> None:
        """Note an event."""
        self.all.append(event)
        self._more.set()

    async def wait_for(self, *states: ConnectionState) -> None:
        """Wait until these states were told of, in this order."""
        with anyio.fail_after(15):
            while not self._contains(states):
                self._more = anyio.Event()
                await self._more.wait()

    def _contains(self, states: tuple[ConnectionState, ...]) -> bool:
        told = iter(event.state for event in self.all)
        return all(state in told for state in states)
