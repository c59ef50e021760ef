"""Looking at a runtime without trusting it: its attestation, as announced or fresh over a nonce.

This is how a first policy comes to be, and how evidence is fetched for the archive:
nothing is judged here, so nothing may be sealed to what is returned.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio

from enclaved.caller.announcements import Announcements
from enclaved.caller.challenges import Challenges
from enclaved.caller.outcome import NoAnswer
from enclaved.clock import RandomBytes, system_random
from enclaved.errors import ProtocolError
from enclaved.mqtt.transport import EPHEMERAL, Connection, Consumer, FirstConnection, Transport
from enclaved.wire.topics import attestation_filter, reply_prefix

__all__ = ["Observation", "observe"]

_SLOTS = 64
_RESEND_S = 2.0


class Observation:
    """An open view of the runtimes of one namespace."""

    def __init__(self, announcements: Announcements, challenges: Challenges) -> None:
        self._announcements = announcements
        self._challenges = challenges

    async def announced(
        self, runtime_id: str | None, *, timeout_s: float, wanted: Callable[[bytes], bool] = lambda _: True
    ) -> bytes:
        """Return the attestation that a runtime announces.

        Args:
            runtime_id: the runtime, or None for the first one that is announced.
            timeout_s: how long to wait for it.
            wanted: says which attestation is waited for.

        Raises:
            NoAnswer: none was announced in time.
        """
        deadline = anyio.current_time() + timeout_s
        while True:
            names = self._announcements.runtimes if runtime_id is None else (runtime_id,)
            for name in names:
                encoded = self._announcements.latest(name)
                if encoded is not None and wanted(encoded):
                    return encoded
            if anyio.current_time() >= deadline:
                raise NoAnswer("runtime", timeout_s=timeout_s)
            await self._announcements.changed.wait(until=deadline)

    async def challenged(self, runtime_id: str, nonce: bytes, *, timeout_s: float) -> bytes:
        """Return what comes as fresh evidence over a nonce; it is not verified.

        Args:
            runtime_id: the runtime.
            nonce: 32 bytes.
            timeout_s: how long to wait for it.

        Raises:
            NoAnswer: none came in time.
            TransportError: the broker refused the challenge.
        """
        deadline = anyio.current_time() + timeout_s
        with self._challenges.expect(nonce) as answer:
            while anyio.current_time() < deadline:
                await self._challenges.send(runtime_id, nonce)
                encoded = await answer.take(until=min(deadline, anyio.current_time() + _RESEND_S))
                if encoded is not None:
                    return encoded
        raise NoAnswer("challenge", timeout_s=timeout_s)


@asynccontextmanager
async def observe(
    connection: Connection, *, transport: Transport, namespace: str, random: RandomBytes = system_random
) -> AsyncIterator[Observation]:
    """Watch the runtimes of a namespace.

    Args:
        connection: how to reach the broker; its client id is the stem of both connections' ids.
        transport: how to speak MQTT.
        namespace: where to look.
        random: makes the reply topic.

    Yields:
        The observation.

    Raises:
        TransportError: the broker cannot be reached or refuses.
    """
    reply_topic = f"{reply_prefix(namespace)}{random(16).hex()}"
    announcements = Announcements(namespace)
    first = FirstConnection.MUST_SUCCEED
    topics = (attestation_filter(namespace), reply_topic)
    async with (
        transport.publish(replace(connection, client_id=f"{connection.client_id}/publisher"), first=first) as publisher,
        transport.consume(connection, topics=topics, slots=_SLOTS, session=EPHEMERAL, first=first) as consumer,
        anyio.create_task_group() as tasks,
    ):
        challenges = Challenges(namespace=namespace, response_topic=reply_topic, publisher=publisher)
        await consumer.subscribed()
        tasks.start_soon(_take, consumer, announcements, challenges, name="observation")
        yield Observation(announcements, challenges)
        tasks.cancel_scope.cancel()


async def _take(consumer: Consumer, announcements: Announcements, challenges: Challenges) -> None:
    async for delivery in consumer:
        message = delivery.message
        try:
            if announcements.is_announcement(message.topic):
                announcements.take(message.topic, message.payload)
            else:
                challenges.take(message.payload)
        except ProtocolError:
            pass  # whatever else lies on these topics is nothing that was asked for
        delivery.acknowledge()
