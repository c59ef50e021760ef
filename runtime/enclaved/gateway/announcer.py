"""The runtime's retained attestation: published, renewed, published again, and taken back.

Callers find runtimes by it. It expires by itself with its bundle, so that a runtime
which died is not sought for ever; a runtime that leaves in good order takes it back.
A broker that lost its retained messages gets it again with each new connection.
"""

from __future__ import annotations

import logging

import anyio

from enclaved.clock import Clock, RandomBytes, system_random
from enclaved.errors import ProtocolError, TransportError
from enclaved.gateway.counters import Counter, Counters
from enclaved.gateway.latest import Latest
from enclaved.gateway.outbox import Outbox
from enclaved.gateway.pauses import Pacing, Pauses
from enclaved.mqtt.transport import ConnectionEvent, ConnectionState, Message
from enclaved.wire.frames import Announce
from enclaved.wire.topics import attestation_topic

__all__ = ["Announcer"]

_log = logging.getLogger(__name__)

_REFUSED = Pacing(first_s=1.0, longest_s=60.0)  # a person has to change the broker's rights


class Announcer:
    """Keeps the retained attestation as the enclave announced it last.

    Args:
        clock: by which the time since the announcement is taken off its expiry.
        counters: where publications are counted.
        random: for jitter.

    Attributes:
        published: set once the broker has taken an attestation.
    """

    def __init__(self, *, clock: Clock, counters: Counters, random: RandomBytes = system_random) -> None:
        self._clock = clock
        self._counters = counters
        self._random = random
        self._connections = 0
        self._due = anyio.Event()
        self._newest: tuple[Announce, float] | None = None
        self.published = anyio.Event()

    def observe(self, event: ConnectionEvent) -> None:
        """Take note of what happened to the publishing connection."""
        if event.state is ConnectionState.CONNECTED:
            self._connections += 1
            self._due.set()

    async def run(self, outbox: Outbox, announced: Latest[Announce]) -> None:
        """Publish at each announcement and on each new connection, for ever."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._follow, announced, name="announcer: follow")
            await self._keep_published(outbox)

    async def take_back(self, outbox: Outbox) -> None:
        """Remove the retained attestation: nobody is to come any more."""
        if self._newest is None:
            return
        announce, _ = self._newest
        topic = attestation_topic(announce.namespace, announce.runtime_id)
        try:
            await outbox.publish(Message(topic=topic, payload=b"", retain=True))
        except (TransportError, ProtocolError):
            _log.warning("attestation not taken back: the broker refused")

    async def _follow(self, announced: Latest[Announce]) -> None:
        number = 0
        while True:
            number, announce = await announced.after(number)
            self._newest = (announce, self._clock.monotonic())
            self._due.set()

    async def _keep_published(self, outbox: Outbox) -> None:
        done: tuple[object, int] | None = None
        pauses = Pauses(_REFUSED, random=self._random)
        while True:
            await self._due.wait()
            self._due = anyio.Event()
            newest = self._newest
            if newest is None or done == (newest, self._connections):
                continue
            if await self._publish(outbox, *newest):
                # The connections are counted now: one made meanwhile has carried this very publication.
                done = (newest, self._connections)
                pauses.reset()
            else:
                with anyio.move_on_after(pauses.draw()):
                    await self._due.wait()
                self._due.set()

    async def _publish(self, outbox: Outbox, announce: Announce, received_at: float) -> bool:
        """Publish once; returns whether there is nothing left to do about this announcement."""
        expiry_s = int(announce.expires_in_ms / 1000 - (self._clock.monotonic() - received_at))
        if expiry_s < 1:
            _log.warning("attestation has expired: the enclave has announced no other")
            return True
        topic = attestation_topic(announce.namespace, announce.runtime_id)
        try:
            await outbox.publish(Message(topic=topic, payload=announce.attestation, retain=True, expiry_s=expiry_s))
        except (TransportError, ProtocolError) as error:
            self._counters.add(Counter.ANNOUNCEMENT_REFUSED)
            _log.error("attestation refused by the broker: reason=%a", str(error))
            return False
        self._counters.add(Counter.ANNOUNCED)
        self.published.set()
        return True
