"""Challenges: callers' nonces, to be answered with fresh evidence.

Anybody may send them, and a device makes few reports a second. So few may wait, and
what comes beyond them is dropped: a caller asks again, and a flood costs the enclave
no more than that. The session ends with its connection, for the same reason.
"""

from __future__ import annotations

import logging
from typing import Protocol

import anyio
from anyio.abc import TaskGroup

from enclaved.errors import ProtocolError, TransportError
from enclaved.gateway.counters import Counter, Counters
from enclaved.gateway.lane import Connections
from enclaved.gateway.outbox import Outbox
from enclaved.gateway.outgoing_topics import ReplyAddress, reply_address
from enclaved.mqtt.transport import EPHEMERAL, Consumer, Message
from enclaved.wire.attestation import decode_challenge_request
from enclaved.wire.limits import MAX_ATTESTATION
from enclaved.wire.topics import challenge_topic

__all__ = ["Attester", "Challenges"]

_log = logging.getLogger(__name__)

_WAITING = 16
_WITHIN_S = 30.0  # callers give up before
_EXPIRY_S = 60


class Attester(Protocol):
    """What challenges need of the link."""

    async def attest(self, nonce: bytes) -> bytes | None:
        """Ask for evidence over a nonce; None where the device is overrun."""
        ...


class Challenges:
    """Takes challenges and has them answered.

    Args:
        attester: the other end of the link.
        outbox: where attestations leave.
        counters: where everything is counted.

    Attributes:
        subscribed: set once the broker has granted the topic.
    """

    def __init__(self, attester: Attester, *, outbox: Outbox, counters: Counters) -> None:
        self._attester = attester
        self._outbox = outbox
        self._counters = counters
        self._waiting = 0
        self.subscribed = anyio.Event()

    async def run(self, namespace: str, runtime_id: str, connections: Connections) -> None:
        """Serve a runtime's challenges, for ever."""
        opened = connections.transport.consume(
            connections.describe(f"{runtime_id}/challenges"),
            topics=(challenge_topic(namespace, runtime_id),),
            slots=_WAITING,
            session=EPHEMERAL,
            observer=connections.observer,
        )
        async with opened as consumer, anyio.create_task_group() as group:
            group.start_soon(self._watch, consumer, name="challenges: subscription")
            async for delivery in consumer:
                delivery.acknowledge()  # at once: whoever is not answered asks again
                self._take(delivery.message, namespace, group)

    async def _watch(self, consumer: Consumer) -> None:
        await consumer.subscribed()
        self.subscribed.set()

    def _take(self, message: Message, namespace: str, group: TaskGroup) -> None:
        self._counters.add(Counter.CHALLENGES)
        if message.retain or self._waiting >= _WAITING:
            self._drop("retained" if message.retain else "too many")
            return
        try:
            request = decode_challenge_request(message.payload)
            reply_to = reply_address(
                request.response_topic, correlation_data=message.correlation_data, namespace=namespace
            )
        except ProtocolError as error:
            self._drop(error.what)
            return
        self._waiting += 1
        group.start_soon(self._answer, request.nonce, reply_to, name="challenges: answer")

    async def _answer(self, nonce: bytes, reply_to: ReplyAddress) -> None:
        try:
            with anyio.move_on_after(_WITHIN_S):
                await self._attest(nonce, reply_to)
                return
            self._drop("too late")
        finally:
            self._waiting -= 1

    async def _attest(self, nonce: bytes, reply_to: ReplyAddress) -> None:
        attestation = await self._attester.attest(nonce)
        if attestation is None or len(attestation) > MAX_ATTESTATION:
            self._drop("overrun" if attestation is None else "oversize")
            return
        message = Message(
            topic=reply_to.topic,
            payload=attestation,
            correlation_data=reply_to.correlation_data,
            expiry_s=_EXPIRY_S,
        )
        try:
            await self._outbox.publish(message)
        except (TransportError, ProtocolError):
            self._drop("refused by the broker")
            return
        self._counters.add(Counter.CHALLENGES_ANSWERED)

    def _drop(self, reason: str) -> None:
        self._counters.add(Counter.CHALLENGES_DROPPED)
        _log.debug("challenge dropped: reason=%s", reason)
