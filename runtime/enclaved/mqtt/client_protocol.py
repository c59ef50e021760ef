"""The rules of one MQTT 5 connection, from a client's side; no input or output.

Bytes go in by `receive` and come out by `send`. Whoever owns the socket looks at
the attributes after each `changed`. What the broker does wrong ends the
connection with the reason code that MQTT names for it (section 4.13).

Reading is bounded here. The broker is told how many unacknowledged messages we
take (Receive Maximum, section 4.9), and brokers exist that send more; so at that
number the next PUBLISH is held back unread, with all that lies behind it, and
the socket is not read until an acknowledgement makes room. Whatever stands
before that PUBLISH is still read: a broker that keeps to the number is never
paused, and its SUBACK and PINGRESP never wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from enclaved.errors import TransportError
from enclaved.mqtt.client_packets import message_of, publish_bytes, subscribe_bytes
from enclaved.mqtt.link import LinkLostError, Opening, Received
from enclaved.mqtt.packet_fields import PacketError, ReasonCode
from enclaved.mqtt.packets import (
    LARGEST_PACKET,
    ConnAckPacket,
    ConnAckReasonCode,
    DisconnectPacket,
    DisconnectReasonCode,
    Packet,
    PacketReader,
    PingReqPacket,
    PingRespPacket,
    PubAckPacket,
    PublishPacket,
    QoS,
    SubAckPacket,
    encode_acknowledgement,
    encode_packet,
)
from enclaved.mqtt.transport import Message

__all__ = ["ClientProtocol"]

_LAST_ID = 65_535
_MAX_RECEIVE = 65_535  # section 3.2.2.3.3: what CONNACK means when it does not say
_PING = encode_packet(PingReqPacket())
_RETAIN_NOT_SUPPORTED = 0x9A


class ClientProtocol:
    """One connection, used once.

    Attributes:
        accepted: the broker has sent a CONNACK that accepts.
        failure: why the connection is over, or None while it stands.
        granted: the reason codes of SUBACK, one for each topic, once it came.
        paused: there is no room for the next message; the socket should not be read.
        session_present: the broker still had the session.
        receive_maximum: how many unacknowledged publishes the broker takes.
        keep_alive_s: seconds within which the broker wants a sign of life.
    """

    def __init__(
        self,
        opening: Opening,
        *,
        keep_alive_s: int,
        packet_bytes: int,
        send: Callable[[bytes], None],
        changed: Callable[[], None],
    ) -> None:
        """Begin; CONNECT is the owner's to send.

        Args:
            opening: how many messages we take at once, and who gets them.
            keep_alive_s: as CONNECT says it.
            packet_bytes: the largest packet that we take, as CONNECT says it.
            send: takes bytes for the broker.
            changed: called when an attribute has changed.
        """
        self.accepted = False
        self.failure: TransportError | None = None
        self.granted: tuple[int, ...] | None = None
        self.paused = False
        self.session_present = False
        self.receive_maximum = _MAX_RECEIVE
        self.keep_alive_s = keep_alive_s
        self._room = opening.receive_maximum
        self._received = opening.received
        self._send = send
        self._changed = changed
        self._reader = PacketReader(max_packet_size=packet_bytes)
        self._held: PublishPacket | None = None
        self._their_packet_bytes = LARGEST_PACKET
        self._retain_available = True
        self._settled: dict[int, Callable[[int], None]] = {}
        self._subscribe_id: int | None = None
        self._last_id = 0
        self._heard = False
        self._spoke = False
        self._awaits_pong = False

    def receive(self, data: bytes) -> None:
        """Take in what the broker sent, and act on every whole packet that there is room for."""
        if self.failure is not None:
            return
        self._heard = True
        try:
            self._reader.receive(data)
            self._act()
        except PacketError as error:
            self._refuse(error)

    def read_on(self) -> None:
        """Act on what was held back, now that there is room."""
        self._heard = True  # what is read now arrived long ago: silence is counted from here
        try:
            self._act()
        except PacketError as error:
            self._refuse(error)

    def subscribe(self, topics: Sequence[str]) -> None:
        """Send SUBSCRIBE; `granted` tells the outcome."""
        self.granted = None
        self._subscribe_id = self._new_id()
        self._write(subscribe_bytes(self._subscribe_id, topics))

    def publish(self, message: Message, settled: Callable[[int], None]) -> None:
        """Send a PUBLISH at QoS 1; see `Link.publish`."""
        if self.failure is not None:
            raise self.failure
        if message.retain and not self._retain_available:
            raise TransportError("the broker keeps no retained messages", reason_code=_RETAIN_NOT_SUPPORTED)
        packet_id = self._new_id()
        data = publish_bytes(message, packet_id)
        if len(data) > self._their_packet_bytes:
            reason = f"a message of {len(data)} bytes is more than the broker's {self._their_packet_bytes}"
            raise TransportError(reason, reason_code=int(ReasonCode.PACKET_TOO_LARGE))
        self._settled[packet_id] = settled
        self._write(data)

    def beat(self) -> None:
        """Keep the connection alive, and notice a broker that is not; to be called twice in each keep-alive.

        A broker that is held back cannot be heard, and is not blamed for it: there the
        system notices a lost peer by the pings that nobody acknowledges.
        """
        if self.failure is not None:
            return
        if self._awaits_pong and not self._heard and not self.paused:
            self.lose("the broker does not answer", None)
            return
        self._awaits_pong = not (self._heard and self._spoke)
        self._heard = self._spoke = False
        if self._awaits_pong:
            self._write(_PING)

    def say_goodbye(self) -> None:
        """Send DISCONNECT and take nothing more."""
        if self.failure is None:
            self._write(encode_packet(DisconnectPacket()))
            self.lose("closed by us", None)

    def lose(self, reason: str, code: int | None) -> None:
        """End the connection; whoever waits for an answer learns of it from `failure`."""
        if self.failure is None:
            self.failure = LinkLostError(f"the connection is lost: {reason}", reason_code=code)
            self._settled.clear()
            self._held = None
            self.paused = False
            self._changed()

    def _act(self) -> None:
        """Act on packets until there are no more, or no room for the next one."""
        while self.failure is None:
            packet = self._held or self._reader.next_packet()
            self._held = None
            if packet is None:
                break
            if isinstance(packet, PublishPacket):
                if self._room <= 0:
                    self._held = packet
                    break
                self._deliver(packet)
            else:
                self._handle(packet)
        self.paused = self._held is not None

    def _deliver(self, packet: PublishPacket) -> None:
        if not self.accepted or packet.topic_alias is not None:  # CONNECT said Topic Alias Maximum 0
            raise PacketError("publish", "comes unasked", reason_code=ReasonCode.PROTOCOL_ERROR)
        if packet.qos == QoS.EXACTLY_ONCE:  # SUBSCRIBE said 1 at most
            raise PacketError("QoS", "was not asked for", reason_code=ReasonCode.QOS_NOT_SUPPORTED)
        self._room -= 1
        acknowledge = partial(self._acknowledge, packet.packet_id)
        self._received(
            Received(message=message_of(packet), duplicate=packet.duplicate, acknowledge=acknowledge),
        )

    def _acknowledge(self, packet_id: int | None) -> None:
        if self.failure is not None:
            return
        self._room += 1
        if packet_id is not None:  # QoS 0 took room, and has no PUBACK
            self._write(encode_acknowledgement(packet_id))
        if self.paused:
            self._changed()

    def _handle(self, packet: Packet) -> None:
        if isinstance(packet, PubAckPacket) and self.accepted:
            settled = self._settled.pop(packet.packet_id, None)
            if settled is not None:  # else the broker answers twice, which harms nobody
                settled(int(packet.reason_code))
        elif isinstance(packet, PingRespPacket) and self.accepted:
            self._awaits_pong = False
        elif isinstance(packet, ConnAckPacket) and not self.accepted:
            self._connected(packet)
        elif isinstance(packet, SubAckPacket) and packet.packet_id == self._subscribe_id:
            self._subscribe_id = None
            self.granted = tuple(int(code) for code in packet.reason_codes)
            self._changed()
        elif isinstance(packet, DisconnectPacket) and self.accepted:
            code = int(packet.reason_code)
            self.lose(f"the broker ended it with reason code {code:#04x}", code)
        else:
            raise PacketError("packet", "is not for a client, or not now", reason_code=ReasonCode.PROTOCOL_ERROR)

    def _connected(self, packet: ConnAckPacket) -> None:
        code = int(packet.reason_code)
        if packet.reason_code != ConnAckReasonCode.SUCCESS:
            self.failure = TransportError(
                f"the broker refused the connection with reason code {code:#04x}", reason_code=code
            )
            self._changed()
            return
        if packet.max_qos == QoS.AT_MOST_ONCE:
            self.failure = TransportError("the broker takes QoS 0 only, which loses messages")
            self._changed()
            return
        self.accepted = True
        self.session_present = packet.session_present
        self.receive_maximum = packet.receive_max
        self._retain_available = packet.retain_available
        if packet.max_packet_size is not None:
            self._their_packet_bytes = packet.max_packet_size
        if packet.server_keep_alive is not None:  # section 3.2.2.3.14: it counts instead of ours
            self.keep_alive_s = packet.server_keep_alive
        self._changed()

    def _refuse(self, error: PacketError) -> None:
        """End the connection on a broker that does not follow the protocol, and tell it why."""
        if self.accepted:
            self._write(encode_packet(DisconnectPacket(reason_code=_disconnect_reason(error.reason_code))))
        self.lose(f"the broker broke the protocol: {error}", None)

    def _new_id(self) -> int:
        """Return a packet identifier that is not in use; the publishing window leaves some free."""
        while True:
            self._last_id = self._last_id % _LAST_ID + 1
            if self._last_id not in self._settled and self._last_id != self._subscribe_id:
                return self._last_id

    def _write(self, data: bytes) -> None:
        self._spoke = True
        self._send(data)


def _disconnect_reason(reason_code: ReasonCode) -> DisconnectReasonCode:
    """Say it in DISCONNECT; what that cannot say becomes a protocol error."""
    try:
        return DisconnectReasonCode(reason_code)
    except ValueError:
        return DisconnectReasonCode.PROTOCOL_ERROR
