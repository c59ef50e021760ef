"""Publishing for all lanes over one connection, and which refusals are final.

A publish waits for the broker as long as it takes: its invocation stays
unacknowledged meanwhile, so nothing is lost and the lane's slots bound what waits.
Only what this broker will never take is given up.
"""

from __future__ import annotations

from dataclasses import dataclass

from enclaved.clock import RandomBytes, system_random
from enclaved.errors import TransportError
from enclaved.gateway.pauses import Pacing, Pauses
from enclaved.mqtt.transport import Message, Publisher

__all__ = ["Outbox", "Patience"]

# MQTT 5.0, section 3.4.2.1: not authorised, topic invalid, packet too large, payload format invalid.
_FINAL = frozenset({0x87, 0x90, 0x95, 0x99})
_QUOTA = Pacing(first_s=0.1, longest_s=5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a message is offered to a broker that refuses it for a passing reason, such as a quota.

    Attributes:
        attempts: in all.
        pacing: between them.
    """

    attempts: int = 8
    pacing: Pacing = _QUOTA


class Outbox:
    """Publishes messages, once or as often as it takes."""

    def __init__(
        self, publisher: Publisher, *, patience: Patience | None = None, random: RandomBytes = system_random
    ) -> None:
        self._publisher = publisher
        self._patience = patience or Patience()
        self._random = random

    async def publish(self, message: Message) -> None:
        """Publish, and return once the broker has acknowledged it.

        Raises:
            ProtocolError: no broker could take it.
            TransportError: this broker refuses it, for good or for too long.
        """
        pauses = Pauses(self._patience.pacing, random=self._random)
        for attempt in range(1, self._patience.attempts + 1):
            try:
                await self._publisher.publish(message)
                return
            except TransportError as error:
                if error.reason_code in _FINAL or attempt == self._patience.attempts:
                    raise
            await pauses.pause()
