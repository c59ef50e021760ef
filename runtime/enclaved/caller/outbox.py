"""The outbox of one invocation: sends its latest message, and never more than one at a time.

Publishing returns when the broker has acknowledged, which may take as long as a lost
connection does. Meanwhile the answer may come, and time runs out; so it happens beside
the waiting.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio

from enclaved.caller.bell import Bell
from enclaved.errors import ProtocolError, TransportError
from enclaved.mqtt.transport import Message, Publisher

__all__ = ["Outbox"]


class Outbox:
    """One message that waits to be sent.

    Attributes:
        sent: how many were sent and acknowledged by the broker.
        failure: why sending is of no use any more, or None.
    """

    def __init__(self, publisher: Publisher, *, on_change: Callable[[], None], on_sent: Callable[[int], None]) -> None:
        self.sent = 0
        self.failure: TransportError | ProtocolError | None = None
        self._publisher = publisher
        self._on_change = on_change
        self._on_sent = on_sent
        self._waiting: Message | None = None
        self._bell = Bell()

    def put(self, message: Message) -> None:
        """Send a message next, instead of one that still waits: it is newer."""
        self._waiting = message
        self._bell.ring()

    async def run(self) -> None:
        """Send what is put in, until cancelled or refused."""
        while True:
            message, self._waiting = self._waiting, None
            if message is None:
                await self._bell.wait(until=anyio.current_time() + 3600)
                continue
            try:
                await self._publisher.publish(message)
            except (TransportError, ProtocolError) as error:
                self.failure = error
                self._on_change()
                return
            self.sent += 1
            self._on_sent(self.sent)
