"""The transport on aiomqtt 2.5: TCP, TLS, WebSockets and Unix sockets, everywhere.

This is the one file that knows aiomqtt and paho, the client inside it. aiomqtt
has no public way to acknowledge by hand, forgets the reason code of a PUBACK and
the DUP flag of a PUBLISH, and does not notice a connection that ends before
CONNACK; so this file takes paho's callbacks, and a test holds it to the minor
version that it was written for.

Limits, all of aiomqtt: about half a millisecond of CPU for each message, and it
reads its socket without bound. Deliveries are bounded by slots, and the broker is
told the same number as Receive Maximum; one that exceeds it (mosquitto 2.0.11
does) fills memory, up to its own queue limit.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - aiomqtt's own futures
import logging
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiomqtt
import anyio
import anyio.lowlevel
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from enclaved.clock import RandomBytes, system_random
from enclaved.errors import TransportError
from enclaved.mqtt.link import Link, LinkLostError, Opening, Received
from enclaved.mqtt.link_transport import LinkTransport
from enclaved.mqtt.transport import Connection, Message, Scheme, Transport

__all__ = ["aiomqtt_transport"]

_CONNECT_S = 3.0  # each of TCP, TLS and WebSocket handshake; it runs in a thread that cannot be stopped
_ANSWER_S = 5.0  # CONNACK and SUBACK
_CLOSE_S = 1.0
_UNSPECIFIED_ERROR = 0x80  # section 2.4: the first reason code that is a failure
_PACKET_TOO_LARGE = 0x95
_RETAINED_IF_NEW = 1
_MAX_RECEIVE = 65_535  # section 3.2.2.3.3: what CONNACK means when it does not say
_LARGEST_PACKET = 268_435_460
_FIXED_BYTES = 5 + 2 + 2  # PUBLISH: fixed header at its longest, topic length, packet id

_log = logging.getLogger("enclaved.mqtt.aiomqtt")
_log.addHandler(logging.NullHandler())  # what happens to a connection is told to its observer


def aiomqtt_transport(*, random: RandomBytes = system_random) -> Transport:
    """Return the transport on aiomqtt."""
    return LinkTransport("aiomqtt", _open_link, random=random)


@asynccontextmanager
async def _open_link(connection: Connection, tls: ssl.SSLContext | None, opening: Opening) -> AsyncIterator[Link]:
    """Open one connection with an aiomqtt client of its own, so that nothing old is ever acknowledged."""
    link = _AiomqttLink(_client(connection, tls, opening), opening.received)
    try:
        await link.open()
        if connection.address.scheme is not Scheme.UNIX:
            link.send_without_delay()
        yield link
    finally:
        await link.close()


def _client(connection: Connection, tls: ssl.SSLContext | None, opening: Opening) -> aiomqtt.Client:
    address = connection.address
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = opening.session_expiry_s
    properties.ReceiveMaximum = opening.receive_maximum
    properties.MaximumPacketSize = connection.packet_bytes
    unix = address.scheme is Scheme.UNIX
    return aiomqtt.Client(
        address.path if unix else address.host,
        1 if unix else address.port,  # paho wants one, and does not use it there
        identifier=connection.client_id,
        username=connection.username,
        password=connection.password,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=opening.clean_start,  # said each time: aiomqtt's default wipes the session
        properties=properties,
        keepalive=connection.keep_alive_s,
        transport="unix" if unix else "websockets" if address.scheme.websocket else "tcp",
        websocket_path=address.path if address.scheme.websocket else None,
        tls_context=tls,
        timeout=_ANSWER_S,
        logger=_log,
    )


class _AiomqttLink:
    """`Link` on one aiomqtt client, which is used once."""

    def __init__(self, client: aiomqtt.Client, received: Callable[[Received], None]) -> None:
        self.session_present = False
        self.receive_maximum = _MAX_RECEIVE
        self._packet_bytes = _LARGEST_PACKET
        self._client = client
        self._received = received
        self._settled: dict[int, Callable[[int], None]] = {}
        self._lost: LinkLostError | None = None
        self._gone = anyio.Event()
        self._paho: PahoClient = client._client  # noqa: SLF001 - the only way to acknowledge by hand
        self._connected: asyncio.Future[None] = client._connected  # noqa: SLF001 - see _give_up
        self._take_callbacks()

    async def open(self) -> None:
        """Connect.

        paho connects in a thread that nothing stops, and a connection that appeared after
        we gave up would fight the next one for the client id. So a cancelled call still waits
        for that thread, which has deadlines, but not for CONNACK.

        Raises:
            TransportError: the broker cannot be reached, or refuses.
        """
        entered = anyio.Event()
        errors: list[Exception] = []

        async def enter() -> None:
            with anyio.CancelScope(shield=True):
                try:
                    await self._client.__aenter__()
                except (aiomqtt.MqttError, ValueError) as error:  # a host name that is none is a ValueError
                    errors.append(error)
                entered.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter, name="mqtt connect")
            try:
                await entered.wait()
            finally:
                self._give_up("given up")
        if errors:
            raise _unreachable(errors[0]) from errors[0]

    def send_without_delay(self) -> None:
        """Set TCP_NODELAY, under TLS and WebSockets too: Nagle's algorithm costs 44 ms an exchange."""
        wrapped = self._paho.socket()
        if wrapped is None:
            return
        with socket.socket(fileno=os.dup(wrapped.fileno())) as plain:  # the option belongs to the open socket
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def close(self) -> None:
        """Say goodbye if the connection stands, and leave no socket and no task behind."""
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(_CLOSE_S):
                if self._stands() and self._lost is None:
                    try:
                        await self._client.__aexit__(None, None, None)
                    except aiomqtt.MqttError as error:
                        _log.debug("mqtt goodbye failed", extra={"reason": str(error)})
            self._lose("closed by us", None)
            self._paho._sock_close()  # noqa: SLF001 - nothing public closes a socket that will not send
            await anyio.lowlevel.checkpoint()  # aiomqtt ends its timer through the event loop's queue
            await anyio.lowlevel.checkpoint()

    def _stands(self) -> bool:
        """Tell whether the broker accepted the connection; aiomqtt cancels the future when no CONNACK came."""
        connected = self._connected
        return connected.done() and not connected.cancelled() and connected.exception() is None

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe; see `Link.subscribe`."""
        options = SubscribeOptions(qos=1, retainAsPublished=True, retainHandling=_RETAINED_IF_NEW)
        try:
            codes = await self._client.subscribe([(topic, options) for topic in topics])
        except (aiomqtt.MqttError, ValueError) as error:
            raise self._lost or TransportError(f"no answer to the subscription: {error}") from error
        values = [code.value if isinstance(code, ReasonCode) else _UNSPECIFIED_ERROR for code in codes]
        if len(values) != len(topics):
            raise TransportError("the broker did not answer for each topic")
        for topic, value in zip(topics, values, strict=True):
            if value >= _UNSPECIFIED_ERROR:
                reason = f"the broker refused the subscription to {topic} with reason code {value:#04x}"
                raise TransportError(reason, reason_code=value)

    def publish(self, message: Message, settled: Callable[[int], None]) -> None:
        """Publish; see `Link.publish`."""
        properties = _properties(message)
        packed: bytes = properties.pack()  # type: ignore[no-untyped-call]
        size = _FIXED_BYTES + len(message.topic.encode()) + len(packed) + len(message.payload)
        if size > self._packet_bytes:
            reason = f"a message of {size} bytes is more than the broker's {self._packet_bytes}"
            raise TransportError(reason, reason_code=_PACKET_TOO_LARGE)
        if self._lost is not None:
            raise self._lost
        info = self._paho.publish(message.topic, message.payload, 1, message.retain, properties)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise LinkLostError("the connection is lost")
        self._settled[info.mid] = settled

    async def lost(self) -> LinkLostError:
        """Wait for the loss; see `Link.lost`."""
        await self._gone.wait()
        return self._lost or LinkLostError("the connection is lost")

    def _take_callbacks(self) -> None:
        paho = self._paho
        paho.manual_ack_set(on=True)  # before connecting: a resumed session delivers right after CONNACK
        paho.max_inflight_messages_set(0)  # the publisher bounds what is under way; paho would hold back in silence
        paho.connect_timeout = _CONNECT_S
        theirs_on_connect: Any = paho.on_connect  # a union of what each of paho's versions calls
        theirs_on_disconnect: Any = paho.on_disconnect

        def on_connect(
            client: PahoClient, userdata: object, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
        ) -> None:
            self._note_connect(session_present=flags.session_present, properties=properties)
            theirs_on_connect(client, userdata, flags, code, properties)

        def on_disconnect(
            client: PahoClient,
            userdata: object,
            flags: DisconnectFlags,
            code: ReasonCode,
            properties: Properties | None,
        ) -> None:
            self._note_disconnect(code, by_broker=flags.is_disconnect_packet_from_server)
            theirs_on_disconnect(client, userdata, flags, code, properties)

        paho.on_connect, paho.on_disconnect = on_connect, on_disconnect
        paho.on_message, paho.on_publish = self._on_message, self._on_publish
        # What a callback raises, aiomqtt puts here and nowhere else.
        self._client._disconnected.add_done_callback(self._on_failure)  # noqa: SLF001

    def _note_connect(self, *, session_present: bool, properties: Properties | None) -> None:
        self.session_present = session_present
        self.receive_maximum = getattr(properties, "ReceiveMaximum", _MAX_RECEIVE)
        self._packet_bytes = getattr(properties, "MaximumPacketSize", _LARGEST_PACKET)

    def _note_disconnect(self, code: ReasonCode, *, by_broker: bool) -> None:
        self._lose(str(code), code.value if by_broker else None)
        self._give_up("closed before it was accepted")

    def _give_up(self, reason: str) -> None:
        """Stop waiting for CONNACK, for which aiomqtt would wait until its deadline."""
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError(reason))

    def _on_failure(self, future: asyncio.Future[None]) -> None:
        error = None if future.cancelled() else future.exception()
        self._lose(str(error or "closed"), None)

    def _lose(self, reason: str, code: int | None) -> None:
        if self._lost is None:
            self._lost = LinkLostError(f"the connection is lost: {reason}", reason_code=code)
            self._settled.clear()
            self._gone.set()

    def _on_message(self, paho: PahoClient, userdata: object, message: MQTTMessage) -> None:
        acknowledge = partial(self._acknowledge, message.mid) if message.qos else _acknowledge_nothing
        try:
            received = _message(message)
        except UnicodeDecodeError:  # no broker should pass such a topic; left alone it would come back for ever
            _log.warning("mqtt message dropped, its topic is not UTF-8")
            acknowledge()
            return
        self._received(Received(message=received, duplicate=message.dup, acknowledge=acknowledge))

    def _acknowledge(self, packet_id: int) -> None:
        if self._lost is None:
            self._paho.ack(packet_id, 1)

    def _on_publish(
        self, paho: PahoClient, userdata: object, packet_id: int, code: ReasonCode, properties: Properties
    ) -> None:
        settled = self._settled.pop(packet_id, None)
        if settled is not None:
            settled(code.value)


def _unreachable(error: Exception) -> TransportError:
    if isinstance(error, aiomqtt.MqttCodeError) and isinstance(error.rc, ReasonCode):
        return TransportError(f"the broker refused the connection: {error.rc}", reason_code=error.rc.value)
    return TransportError(f"the broker cannot be reached: {error}")


def _acknowledge_nothing() -> None:
    """QoS 0 has no acknowledgement."""


def _message(message: MQTTMessage) -> Message:
    properties = message.properties
    return Message(
        topic=message.topic,
        payload=bytes(message.payload),
        retain=message.retain,
        response_topic=getattr(properties, "ResponseTopic", None),
        correlation_data=getattr(properties, "CorrelationData", None),
        content_type=getattr(properties, "ContentType", None),
        expiry_s=getattr(properties, "MessageExpiryInterval", None),
    )


def _properties(message: Message) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if message.response_topic is not None:
        properties.ResponseTopic = message.response_topic
    if message.correlation_data is not None:
        properties.CorrelationData = message.correlation_data
    if message.content_type is not None:
        properties.ContentType = message.content_type
    if message.expiry_s is not None:
        properties.MessageExpiryInterval = message.expiry_s
    return properties
