"""A development broker whose clock stands still, and clients that are closed at the end."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime

import pytest
from enclaved.mqtt.broker.limits import BrokerLimits
from enclaved.mqtt.loopback import LoopbackBroker
from enclaved.mqtt.packets import DisconnectPacket
from raw_client import RawClient

__all__ = ["HOUR", "MovedClock", "World", "narrow"]

HOUR = 3600


class MovedClock:
    """A clock that goes on only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        """Return some time."""
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        """Return the seconds that a test set."""
        return self.seconds


class World:
    """A broker, its clock, and clients that are closed at the end."""

    def __init__(self, broker: LoopbackBroker, clock: MovedClock, stack: AsyncExitStack) -> None:
        self.broker = broker
        self._clock = clock
        self._stack = stack

    async def socket(self) -> RawClient:
        """Return a client that has sent nothing yet."""
        return await self._stack.enter_async_context(RawClient(self.broker.port))

    async def client(self, client_id: str, **options: object) -> RawClient:
        """Return a connected client."""
        client = await self.socket()
        await client.connect(client_id, **options)
        return client

    async def gone(self, client: RawClient) -> None:
        """Have a client leave in good order, and wait until the broker knows."""
        await client.send(DisconnectPacket())
        assert await client.closed()

    async def break_off(self, client: RawClient) -> None:
        """End a client's connection without a DISCONNECT of its own, and wait until the broker knows."""
        await client.send_bytes(b"\x00\x00")
        await client.receive(DisconnectPacket)
        assert await client.closed()

    def wait(self, seconds: float) -> None:
        """Let time pass, and let the broker notice."""
        self._clock.seconds += seconds
        self.broker.sweep()


def narrow(**bounds: int) -> pytest.MarkDecorator:
    """Give the broker other bounds."""
    return pytest.mark.parametrize("limits", [BrokerLimits(**bounds)], ids=["narrow"])
