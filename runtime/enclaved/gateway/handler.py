"""From a delivery to its acknowledgement: what happens to one invocation.

The acknowledgement comes last: after the broker has taken reply and outputs. If
gateway, enclave or broker die before, the broker delivers it again, and the
enclave answers a repeat from its cache. What can never succeed is acknowledged
too, or it would come back for ever; it is counted, and logged by ids and codes.
"""

from __future__ import annotations

import logging
from typing import Protocol

from enclaved.clock import RandomBytes, system_random
from enclaved.errors import ProtocolError, TransportError
from enclaved.gateway.counters import Counter, Counters
from enclaved.gateway.outbox import Outbox
from enclaved.gateway.outgoing_topics import ReplyAddress, check_output_topic
from enclaved.gateway.pauses import Pacing, Pauses
from enclaved.gateway.routing import Discard, Forward, SendHint, route
from enclaved.gateway.station import Station
from enclaved.mqtt.transport import Delivery, Message
from enclaved.wire.frames import Answer, Output

__all__ = ["Enclave", "Handler"]

_log = logging.getLogger(__name__)

_REPLY_EXPIRY_S = 3600  # no invocation lives longer (MAX_EXPIRY_MS), and its caller no longer waits
_OUTCOMES = {
    "answered": Counter.ANSWERED,
    "refused": Counter.REFUSED,
    "hinted": Counter.HINTED,
    "dropped": Counter.DROPPED,
    "dead": Counter.DEAD,
}
_BUSY = Pacing(first_s=0.02, longest_s=1.0)


class Enclave(Protocol):
    """What the handler needs of the link."""

    async def invoke(self, message: bytes) -> Answer:
        """Have the enclave deal with an invocation."""
        ...


class Handler:
    """Handles the deliveries of one lane, any number at a time.

    Args:
        station: where the lane stands.
        enclave: the other end of the link.
        outbox: where replies and outputs leave.
        counters: where everything is counted.
        random: for jitter.
    """

    def __init__(
        self,
        station: Station,
        *,
        enclave: Enclave,
        outbox: Outbox,
        counters: Counters,
        random: RandomBytes = system_random,
    ) -> None:
        self._station = station
        self._enclave = enclave
        self._outbox = outbox
        self._counters = counters
        self._random = random

    async def handle(self, delivery: Delivery) -> None:
        """Deal with a delivery and acknowledge it; cancelled, it stays unacknowledged."""
        self._counters.add(Counter.RECEIVED)
        if delivery.duplicate:
            self._counters.add(Counter.REDELIVERED)
        match route(delivery.message, self._station):
            case Discard(why=why):
                self._counters.add(why)
                size = len(delivery.message.payload)
                _log.debug("discarded: lane=%s reason=%s size=%d", self._station.function, why.value, size)
            case SendHint(payload=payload, reply_to=reply_to):
                self._counters.add(Counter.MALFORMED)
                self._counters.add(Counter.HINTED)
                await self._reply(payload, reply_to)
            case Forward() as forward:
                await self._forward(forward)
        delivery.acknowledge()

    async def _forward(self, forward: Forward) -> None:
        answer = await self._answer(forward.message)
        self._counters.add(_OUTCOMES[answer.outcome])
        if answer.outcome == "dead" or not await self._put_out(answer.outputs):
            await self._dead_letter(forward.message)
        elif answer.reply is not None:
            await self._reply(answer.reply, forward.reply_to)

    async def _answer(self, message: bytes) -> Answer:
        """Ask until the enclave is not busy; the slot stays taken, so that the rest waits in the broker."""
        pauses = Pauses(_BUSY, random=self._random)
        while True:
            answer = await self._enclave.invoke(message)
            if answer.outcome != "busy":
                return answer
            self._counters.add(Counter.BUSY)
            await pauses.pause()

    async def _reply(self, payload: bytes, reply_to: ReplyAddress | None) -> None:
        if reply_to is None:
            self._counters.add(Counter.REPLY_UNADDRESSED)
            return
        message = Message(
            topic=reply_to.topic,
            payload=payload,
            correlation_data=reply_to.correlation_data,
            expiry_s=_REPLY_EXPIRY_S,
        )
        await self._send(message, refused=Counter.REPLY_REFUSED)

    async def _put_out(self, outputs: tuple[Output, ...]) -> bool:
        """Publish the outputs; returns whether the broker has all of them.

        They go before the reply, and without them there is none: whoever has a reply believes
        that its alarm went out, and keeps the event no longer.
        """
        for output in outputs:
            try:
                check_output_topic(output.topic)
            except ProtocolError as error:
                self._counters.add(Counter.OUTPUT_REFUSED)
                _log.warning("output refused: lane=%s reason=%s", self._station.function, error.reason)
                return False
            message = Message(topic=output.topic, payload=output.payload)
            if not await self._send(message, refused=Counter.OUTPUT_REFUSED):
                return False
        return True

    async def _dead_letter(self, message: bytes) -> None:
        """Record a loss: the invocation as it came, still sealed. Whoever holds its key may yet open it."""
        await self._send(Message(topic=self._station.dead_topic, payload=message), refused=Counter.DEAD_REFUSED)

    async def _send(self, message: Message, *, refused: Counter) -> bool:
        """Publish; returns whether the broker took it, or else counts the refusal."""
        try:
            await self._outbox.publish(message)
        except (TransportError, ProtocolError) as error:
            self._counters.add(refused)
            code = error.reason_code if isinstance(error, TransportError) else None
            _log.warning("refused: lane=%s what=%s code=%s", self._station.function, refused.value, code)
            return False
        return True
