"""The transport on our own connection: TCP, TLS and Unix sockets; no library but the codec.

`client_protocol` decides; here are the socket, the clock, and the bytes that wait
to be written. What is sent within one turn of the event loop leaves in one write.
No message has a task of its own, and the socket is not read while the receiver has
no room, so that a backlog waits in the broker.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - callbacks on the event loop's own transports: no task for each message
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import anyio

from enclaved.clock import RandomBytes, system_random
from enclaved.errors import ConfigurationError, TransportError
from enclaved.mqtt.addresses import Scheme
from enclaved.mqtt.broker_socket import open_broker_socket
from enclaved.mqtt.client_packets import connect_bytes
from enclaved.mqtt.client_protocol import ClientProtocol
from enclaved.mqtt.link import Link, LinkLostError, Opening
from enclaved.mqtt.link_transport import LinkTransport
from enclaved.mqtt.packet_fields import PacketError
from enclaved.mqtt.transport import Connection, Message, Transport

__all__ = ["direct_transport"]

_HANDSHAKE_S = 5.0  # TLS
_ANSWER_S = 5.0  # CONNACK and SUBACK
_CLOSE_S = 0.5  # for the broker to take our last bytes and close
_PROBE = Opening(clean_start=True, session_expiry_s=0, receive_maximum=1, received=lambda received: None)
_FIRST_FAILURE = 0x80  # section 2.4: the first reason code that is one


def direct_transport(*, random: RandomBytes = system_random) -> Transport:
    """Return the transport on our own connection."""
    return LinkTransport("direct", _open_link, random=random, check=_check)


def _check(connection: Connection) -> None:
    """Refuse what no attempt could mend.

    Raises:
        ConfigurationError: the address needs WebSockets, or a name is too long for MQTT.
    """
    scheme = connection.address.scheme
    if scheme.websocket:
        problem = f"direct does not speak {scheme.value}://"
        raise ConfigurationError("transport", problem, remedy="Choose aiomqtt, or auto, which chooses it")
    try:
        connect_bytes(connection, _PROBE)
    except PacketError as error:
        problem = "holds what CONNECT cannot say"
        raise ConfigurationError("connection", problem, remedy="Shorten the user name or password") from error


@asynccontextmanager
async def _open_link(connection: Connection, tls: ssl.SSLContext | None, opening: Opening) -> AsyncIterator[Link]:
    """Open one connection.

    Raises:
        TransportError: the broker cannot be reached, or refuses.
    """
    link = _DirectLink(connection, opening)
    try:
        await link.open(tls)
        yield link
    finally:
        await link.close()


class _DirectLink(asyncio.Protocol):
    """`Link` on one socket; also the protocol that the event loop calls back."""

    def __init__(self, connection: Connection, opening: Opening) -> None:
        self._connection = connection
        self._opening = opening
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._output: list[bytes] = []
        self._beat: asyncio.TimerHandle | None = None
        self._resuming = False
        self._moved = anyio.Event()
        self._closed = anyio.Event()
        self._protocol = ClientProtocol(
            opening,
            keep_alive_s=connection.keep_alive_s,
            packet_bytes=connection.packet_bytes,
            send=self._send,
            changed=self._on_change,
        )

    @property
    def session_present(self) -> bool:
        """The broker still had the session."""
        return self._protocol.session_present

    @property
    def receive_maximum(self) -> int:
        """How many unacknowledged publishes the broker takes."""
        return self._protocol.receive_maximum

    async def open(self, tls: ssl.SSLContext | None) -> None:
        """Connect, and wait for CONNACK."""
        await self._connect(tls)
        self._send(connect_bytes(self._connection, self._opening))
        with anyio.move_on_after(_ANSWER_S):
            while not self._protocol.accepted and self._protocol.failure is None:
                await self._next_change()
        if not self._protocol.accepted:  # accepted and ended at once is a connection that was lost
            raise self._protocol.failure or TransportError("the broker cannot be reached: it does not answer CONNECT")
        self._schedule_beat()

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe; see `Link.subscribe`."""
        protocol = self._protocol
        protocol.subscribe(topics)
        while protocol.granted is None and protocol.failure is None:
            with anyio.move_on_after(_ANSWER_S) as patience:
                await self._next_change()
            if patience.cancelled_caught and not protocol.paused:  # the answer may lie behind what is not read
                break
        if protocol.failure is not None:
            raise protocol.failure
        if protocol.granted is None or len(protocol.granted) != len(topics):
            raise TransportError("no answer to the subscription for each topic")
        for topic, code in zip(topics, protocol.granted, strict=True):
            if code >= _FIRST_FAILURE:
                reason = f"the broker refused the subscription to {topic} with reason code {code:#04x}"
                raise TransportError(reason, reason_code=code)
            if code == 0:
                raise TransportError(f"the broker grants {topic} at QoS 0 only, which loses messages")

    def publish(self, message: Message, settled: Callable[[int], None]) -> None:
        """Publish; see `Link.publish`."""
        self._protocol.publish(message, settled)

    async def lost(self) -> LinkLostError:
        """Wait for the loss; see `Link.lost`."""
        while self._protocol.failure is None:
            await self._next_change()
        failure = self._protocol.failure
        return failure if isinstance(failure, LinkLostError) else LinkLostError(str(failure))

    async def close(self) -> None:
        """Say goodbye if the connection stands, give the broker a moment to take it, and leave no socket behind.

        The socket is read until the broker closes: closed with unread input it would be reset,
        and the broker could lose our last acknowledgements with it.
        """
        if self._beat is not None:
            self._beat.cancel()
        transport = self._transport
        if transport is None:
            return
        if self._protocol.accepted:
            self._protocol.say_goodbye()
            self._flush()
            self._resume_reading()
            with anyio.move_on_after(_CLOSE_S, shield=True):
                await self._closed.wait()
        transport.abort()
        with anyio.CancelScope(shield=True):
            await self._closed.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Act on what came, and stop reading when there is no room for more."""
        self._protocol.receive(data)
        if self._protocol.paused and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the socket is gone."""
        reason = "closed by the broker" if exc is None else str(exc) or type(exc).__name__
        if self._protocol.accepted:
            self._protocol.lose(reason, None)
        elif self._protocol.failure is None:
            self._protocol.lose(f"{reason}, before it was accepted", None)
        self._transport = None
        self._closed.set()

    async def _connect(self, tls: ssl.SSLContext | None) -> None:
        address = self._connection.address
        connected = await open_broker_socket(address, keep_alive_s=self._connection.keep_alive_s)
        try:
            if address.scheme is Scheme.UNIX:
                await self._loop.create_unix_connection(lambda: self, sock=connected)
            else:
                await self._loop.create_connection(
                    lambda: self,
                    sock=connected,
                    ssl=tls,
                    server_hostname=address.host if tls is not None else None,
                    ssl_handshake_timeout=_HANDSHAKE_S if tls is not None else None,
                    ssl_shutdown_timeout=_CLOSE_S if tls is not None else None,
                )
        except (OSError, UnicodeError) as error:
            connected.close()
            raise TransportError(f"the broker cannot be reached: {error}") from error
        except BaseException:
            connected.close()
            raise

    def _send(self, data: bytes) -> None:
        if not self._output:
            self._loop.call_soon(self._flush)
        self._output.append(data)

    def _flush(self) -> None:
        output, self._output = self._output, []
        if output and self._transport is not None:
            self._transport.write(output[0] if len(output) == 1 else b"".join(output))

    def _on_change(self) -> None:
        """Wake who waits; and read on where an acknowledgement has made room, after whoever made it."""
        moved, self._moved = self._moved, anyio.Event()
        moved.set()
        if self._protocol.paused and not self._resuming:
            self._resuming = True
            self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        self._resuming = False
        self._protocol.read_on()
        if not self._protocol.paused:
            self._resume_reading()

    def _resume_reading(self) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.resume_reading()

    async def _next_change(self) -> None:
        await self._moved.wait()

    def _schedule_beat(self) -> None:
        if self._protocol.keep_alive_s:  # a broker may say 0: it wants no sign of life
            self._beat = self._loop.call_later(self._protocol.keep_alive_s / 2, self._on_beat)

    def _on_beat(self) -> None:
        self._protocol.beat()
        self._schedule_beat()
