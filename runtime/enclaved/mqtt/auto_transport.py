"""The transport that fits the address: our own connection, or aiomqtt where WebSockets are wanted.

It is the default, so that a broker's URL alone decides. Proxies are reached by
naming aiomqtt.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from enclaved.mqtt.aiomqtt_transport import aiomqtt_transport
from enclaved.mqtt.direct_transport import direct_transport
from enclaved.mqtt.transport import (
    DURABLE,
    Connection,
    Consumer,
    FirstConnection,
    Observer,
    Publisher,
    Session,
    Transport,
    ignore_events,
)

__all__ = ["AutoTransport"]


class AutoTransport:
    """`Transport` that chooses for each connection.

    Attributes:
        name: as configuration names it.
    """

    def __init__(self) -> None:
        self.name = "auto"
        self._direct, self._websockets = direct_transport(), aiomqtt_transport()

    def consume(
        self,
        connection: Connection,
        *,
        topics: Sequence[str],
        slots: int,
        session: Session = DURABLE,
        first: FirstConnection = FirstConnection.KEEP_TRYING,
        observer: Observer = ignore_events,
    ) -> AbstractAsyncContextManager[Consumer]:
        """Open a consuming connection; see `Transport.consume`."""
        chosen = self._for(connection)
        return chosen.consume(connection, topics=topics, slots=slots, session=session, first=first, observer=observer)

    def publish(
        self,
        connection: Connection,
        *,
        window: int = 64,
        first: FirstConnection = FirstConnection.KEEP_TRYING,
        observer: Observer = ignore_events,
    ) -> AbstractAsyncContextManager[Publisher]:
        """Open a publishing connection; see `Transport.publish`."""
        return self._for(connection).publish(connection, window=window, first=first, observer=observer)

    def _for(self, connection: Connection) -> Transport:
        return self._websockets if connection.address.scheme.websocket else self._direct
