"""A transport made of links: what all MQTT libraries have in common, written once."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from enclaved.clock import RandomBytes
from enclaved.mqtt.consumer import consume_by
from enclaved.mqtt.link import Link, Opening
from enclaved.mqtt.publisher import publish_by
from enclaved.mqtt.tls import tls_context
from enclaved.mqtt.transport import (
    DURABLE,
    Connection,
    Consumer,
    FirstConnection,
    Observer,
    Publisher,
    Session,
    ignore_events,
)

__all__ = ["LinkTransport", "OpenLink"]

OpenLink = Callable[[Connection, ssl.SSLContext | None, Opening], AbstractAsyncContextManager[Link]]
"""Opens one connection with some library; see `enclaved.mqtt.link.Dial`."""


def _check_nothing(connection: Connection) -> None:
    """Every connection will do."""


class LinkTransport:
    """`Transport` on one library's links.

    Attributes:
        name: as configuration names it.
    """

    def __init__(
        self,
        name: str,
        open_link: OpenLink,
        *,
        random: RandomBytes,
        check: Callable[[Connection], None] = _check_nothing,
    ) -> None:
        """Make a transport.

        Args:
            name: as configuration names it.
            open_link: opens one connection.
            random: for jitter.
            check: raises `ConfigurationError` on a connection that this library cannot make.
        """
        self.name = name
        self._open_link = open_link
        self._check = check
        self._random = random

    @asynccontextmanager
    async def consume(
        self,
        connection: Connection,
        *,
        topics: Sequence[str],
        slots: int,
        session: Session = DURABLE,
        first: FirstConnection = FirstConnection.KEEP_TRYING,
        observer: Observer = ignore_events,
    ) -> AsyncIterator[Consumer]:
        """Open a consuming connection; see `Transport.consume`."""
        self._check(connection)
        async with consume_by(
            partial(self._open_link, connection, await tls_context(connection)),
            client_id=connection.client_id,
            topics=topics,
            slots=slots,
            session=session,
            first=first,
            observer=observer,
            random=self._random,
        ) as consumer:
            yield consumer

    @asynccontextmanager
    async def publish(
        self,
        connection: Connection,
        *,
        window: int = 64,
        first: FirstConnection = FirstConnection.KEEP_TRYING,
        observer: Observer = ignore_events,
    ) -> AsyncIterator[Publisher]:
        """Open a publishing connection; see `Transport.publish`."""
        self._check(connection)
        async with publish_by(
            partial(self._open_link, connection, await tls_context(connection)),
            client_id=connection.client_id,
            window=window,
            first=first,
            observer=observer,
            random=self._random,
        ) as publisher:
            yield publisher
