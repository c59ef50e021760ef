"""One lane: a consuming connection of its own for one function, and the invocations under way on it.

A lane has slots of its own, and a slot is held until the acknowledgement. So a slow
function holds up only itself, and what it cannot take yet waits in the broker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup

from enclaved.gateway.handler import Handler
from enclaved.gateway.station import Station
from enclaved.mqtt.transport import DURABLE, Connection, Consumer, Delivery, Observer, Transport
from enclaved.wire.frames import Lane

__all__ = ["Connections", "LaneRunner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """How connections to the broker are made.

    Attributes:
        transport: by what.
        describe: gives the connection for a client id.
        observer: told of each made and lost.
    """

    transport: Transport
    describe: Callable[[str], Connection]
    observer: Observer


class LaneRunner:
    """Serves one lane from its start to its end.

    Args:
        lane: what the enclave announced.
        station: where it stands.
        handler: deals with each delivery.
        connections: how to reach the broker.

    Attributes:
        lane: what the enclave announced.
        settled: set once the broker has granted its topics, or it has ended.
        ended: set once its connection is closed.
    """

    def __init__(self, lane: Lane, *, station: Station, handler: Handler, connections: Connections) -> None:
        self.lane = lane
        self.settled = anyio.Event()
        self.ended = anyio.Event()
        self._station = station
        self._handler = handler
        self._connections = connections
        self._taking = anyio.CancelScope()
        self._life = anyio.CancelScope()
        self._subscribed = False

    @property
    def subscribed(self) -> bool:
        """Whether the broker has granted its topics."""
        return self._subscribed

    async def run(self) -> None:
        """Serve until stopped, and then finish what is under way."""
        try:
            with self._life:
                await self._serve()
        finally:
            self.settled.set()
            self.ended.set()

    def stop_taking(self) -> None:
        """Take no new deliveries; the lane ends when those under way are acknowledged."""
        self._taking.cancel()

    def abandon(self) -> None:
        """End at once; what is under way stays unacknowledged, and the broker delivers it again."""
        self._life.cancel()

    async def _serve(self) -> None:
        opened = self._connections.transport.consume(
            self._connections.describe(self._station.client_id),
            topics=(self._station.invoke_topic, *self.lane.triggers),
            slots=self.lane.slots,
            session=DURABLE,
            observer=self._connections.observer,
        )
        async with opened as consumer, anyio.create_task_group() as under_way:
            with self._taking:
                # Beside the deliveries, not before them: with all slots full of a backlog,
                # a transport need not read on to the grant.
                async with anyio.create_task_group() as watching:
                    watching.start_soon(self._watch, consumer, name=f"lane {self.lane.function}: subscription")
                    await self._take_all(consumer, under_way)

    async def _take_all(self, consumer: Consumer, under_way: TaskGroup) -> None:
        """Take deliveries, each with a slot of ours first.

        The transport bounds what one connection delivers. What an earlier one delivered may
        still be under way here, and a broker that flaps would add to it each time.
        """
        slots = anyio.Semaphore(self.lane.slots, fast_acquire=True)
        deliveries = aiter(consumer)
        while True:
            await slots.acquire()
            delivery = await anext(deliveries)
            under_way.start_soon(self._handle, delivery, slots, name=f"lane {self.lane.function}: invocation")

    async def _handle(self, delivery: Delivery, slots: anyio.Semaphore) -> None:
        try:
            await self._handler.handle(delivery)
        finally:
            slots.release()

    async def _watch(self, consumer: Consumer) -> None:
        await consumer.subscribed()
        self._subscribed = True
        self.settled.set()
