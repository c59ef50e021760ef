"""The rules of a client's connection, without sockets: bounds, order, keep-alive, and a broker that breaks rules."""

from __future__ import annotations

from typing import TypeVar

import pytest
from enclaved.errors import TransportError
from enclaved.mqtt.client_protocol import ClientProtocol
from enclaved.mqtt.link import LinkLostError, Opening, Received
from enclaved.mqtt.packets import (
    AuthPacket,
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
    SubAckReasonCode,
    SubscribePacket,
    encode_packet,
)
from enclaved.mqtt.transport import Message

PacketT = TypeVar("PacketT", bound=Packet)
PACKET_BYTES = 4096


class Client:
    """A protocol, what it wrote, and what it received."""

    def __init__(self, *, room: int = 2, accepted: bool = True, **connack: object) -> None:
        self.received: list[Received] = []
        self.changes = 0
        self._written = PacketReader(max_packet_size=1 << 20)
        self.protocol = ClientProtocol(
            Opening(clean_start=True, session_expiry_s=0, receive_maximum=room, received=self.received.append),
            keep_alive_s=30,
            packet_bytes=PACKET_BYTES,
            send=self._written.receive,
            changed=self._on_change,
        )
        if accepted:
            self.hears(ConnAckPacket(**connack))  # type: ignore[arg-type]  # a test may turn any field

    def hears(self, *packets: Packet) -> None:
        """Give it packets, in one piece."""
        self.protocol.receive(b"".join(encode_packet(packet) for packet in packets))

    def wrote(self, kind: type[PacketT]) -> PacketT:
        """Return the next packet that it wrote, which must be of this kind."""
        packet = self._written.next_packet()
        assert isinstance(packet, kind), packet
        return packet

    def wrote_nothing(self) -> bool:
        """Tell whether there is no packet left that it wrote."""
        return self._written.next_packet() is None

    def payloads(self) -> list[bytes]:
        """Return what it handed up."""
        return [each.message.payload for each in self.received]

    def _on_change(self) -> None:
        self.changes += 1


def work(packet_id: int) -> PublishPacket:
    """Return a message for a consumer."""
    return PublishPacket("work", b"%d" % packet_id, qos=QoS.AT_LEAST_ONCE, packet_id=packet_id)


def ignore(code: int) -> None:
    """Take a reason code and do nothing."""


def test_a_broker_that_sends_too_much_is_held_back() -> None:
    """No more is handed up than was agreed, and the owner is told to stop reading."""
    client = Client(room=2)
    client.hears(work(1), work(2), work(3))

    assert client.payloads() == [b"1", b"2"]
    assert client.protocol.paused


def test_an_acknowledgement_makes_room_for_what_was_held_back() -> None:
    """In order, and one for one."""
    client = Client(room=2)
    client.hears(work(1), work(2), work(3), work(4))
    client.received[0].acknowledge()
    client.protocol.read_on()

    assert client.wrote(PubAckPacket).packet_id == 1
    assert client.payloads() == [b"1", b"2", b"3"]
    assert client.protocol.paused


def test_reading_goes_on_when_all_is_acknowledged() -> None:
    """The owner reads the socket again."""
    client = Client(room=1)
    client.hears(work(1), work(2))
    client.received[0].acknowledge()
    client.protocol.read_on()
    client.received[1].acknowledge()

    assert not client.protocol.paused


def test_what_stands_before_the_message_without_room_is_still_read() -> None:
    """A broker that keeps to Receive Maximum never has its SUBACK wait."""
    client = Client(room=1)
    client.protocol.subscribe(["work"])
    packet_id = client.wrote(SubscribePacket).packet_id
    client.hears(work(1), SubAckPacket(packet_id, [SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]), work(2))

    assert client.protocol.granted == (1,)
    assert client.payloads() == [b"1"]


def test_messages_at_qos_0_take_room_too() -> None:
    """A flood of them must not fill memory either, and none is answered."""
    client = Client(room=1)
    client.hears(PublishPacket("work", b"a"), PublishPacket("work", b"b"))
    client.received[0].acknowledge()
    client.protocol.read_on()

    assert client.payloads() == [b"a", b"b"]
    assert client.wrote_nothing()


def test_nothing_is_acknowledged_on_a_lost_connection() -> None:
    """Its packet identifiers mean nothing any more."""
    client = Client()
    client.hears(work(1))
    client.protocol.lose("cut", None)
    client.received[0].acknowledge()

    assert client.wrote_nothing()


def test_an_answer_reaches_whoever_published() -> None:
    """With its reason code; a second one reaches nobody."""
    client = Client()
    codes: list[int] = []
    client.protocol.publish(Message(topic="t", payload=b"x"), codes.append)
    packet_id = client.wrote(PublishPacket).packet_id or 0
    client.hears(PubAckPacket(packet_id), PubAckPacket(packet_id))

    assert codes == [0]
    assert client.protocol.failure is None


def test_packet_identifiers_in_use_are_not_given_again() -> None:
    """Not even after all 65,535 were used once."""
    written: list[bytes] = []
    opening = Opening(clean_start=True, session_expiry_s=0, receive_maximum=1, received=lambda received: None)
    protocol = ClientProtocol(
        opening, keep_alive_s=30, packet_bytes=PACKET_BYTES, send=written.append, changed=lambda: None
    )
    protocol.receive(encode_packet(ConnAckPacket()))
    for _ in range(65_536):
        protocol.publish(Message(topic="t", payload=b""), ignore)
        packet_id = written[-1][5:7]
        if len(written) > 1:  # the first is never answered
            protocol.receive(b"\x40\x02" + packet_id)

    assert written[0][5:7] == b"\x00\x01"
    assert written[65_534][5:7] == b"\xff\xff"
    assert written[65_535][5:7] == b"\x00\x02"


def test_a_message_larger_than_the_broker_takes_is_refused() -> None:
    """Sent, it would end the connection again and again."""
    client = Client(max_packet_size=100)
    with pytest.raises(TransportError) as refused:
        client.protocol.publish(Message(topic="t", payload=b"x" * 100), ignore)
    client.protocol.publish(Message(topic="t", payload=b"x" * 50), ignore)

    assert refused.value.reason_code == 0x95
    assert client.wrote(PublishPacket).payload == b"x" * 50


def test_a_retained_message_is_refused_where_the_broker_keeps_none() -> None:
    """CONNACK said so (section 3.2.2.3.13)."""
    client = Client(retain_available=False)
    with pytest.raises(TransportError) as refused:
        client.protocol.publish(Message(topic="t", payload=b"x", retain=True), ignore)

    assert refused.value.reason_code == 0x9A


def test_what_connack_says_is_taken_over() -> None:
    """Session, window and keep-alive are the broker's to set."""
    client = Client(session_present=True, receive_max=7, server_keep_alive=11)

    assert client.protocol.session_present
    assert (client.protocol.receive_maximum, client.protocol.keep_alive_s) == (7, 11)


def test_a_refusal_carries_its_reason_code() -> None:
    """It is no loss: there was no connection."""
    client = Client(accepted=False)
    client.hears(ConnAckPacket(reason_code=ConnAckReasonCode.NOT_AUTHORIZED))

    assert client.protocol.failure is not None
    assert client.protocol.failure.reason_code == 0x87
    assert not isinstance(client.protocol.failure, LinkLostError)


def test_a_broker_without_qos_1_is_refused() -> None:
    """On it, every invocation could be lost."""
    client = Client(max_qos=QoS.AT_MOST_ONCE)

    assert client.protocol.failure is not None
    assert not client.protocol.accepted


def test_a_brokers_disconnect_ends_the_connection_with_its_reason() -> None:
    """Taken over, shutting down: an operator wants to know."""
    client = Client()
    client.hears(DisconnectPacket(reason_code=DisconnectReasonCode.SESSION_TAKEN_OVER))

    assert client.protocol.failure is not None
    assert client.protocol.failure.reason_code == 0x8E


def test_a_publish_after_the_loss_says_so() -> None:
    """The publisher tries again on the next connection."""
    client = Client()
    client.protocol.lose("cut", None)
    with pytest.raises(LinkLostError):
        client.protocol.publish(Message(topic="t", payload=b"x"), ignore)


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (ConnAckPacket(), DisconnectReasonCode.PROTOCOL_ERROR),
        (AuthPacket(authentication_method="m"), DisconnectReasonCode.PROTOCOL_ERROR),
        (PingReqPacket(), DisconnectReasonCode.PROTOCOL_ERROR),
        (SubAckPacket(9, [SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE]), DisconnectReasonCode.PROTOCOL_ERROR),
        (PublishPacket("t", b"", topic_alias=1), DisconnectReasonCode.PROTOCOL_ERROR),
        (PublishPacket("t", b"", qos=QoS.EXACTLY_ONCE, packet_id=1), DisconnectReasonCode.QOS_NOT_SUPPORTED),
        (PublishPacket("t", b"x" * PACKET_BYTES), DisconnectReasonCode.PACKET_TOO_LARGE),
    ],
    ids=["connack", "auth", "pingreq", "suback", "alias", "qos-2", "oversize"],
)
def test_a_broker_that_breaks_the_protocol_is_told_why(packet: Packet, reason: DisconnectReasonCode) -> None:
    """And left: nothing after it is believed."""
    client = Client()
    client.hears(packet, work(1))

    assert client.wrote(DisconnectPacket).reason_code == reason
    assert client.received == []
    assert isinstance(client.protocol.failure, LinkLostError)


@pytest.mark.parametrize("packet", [work(1), PubAckPacket(1), PingRespPacket(), DisconnectPacket()])
def test_nothing_is_believed_before_connack(packet: Packet) -> None:
    """Only CONNACK says that somebody is there who speaks MQTT."""
    client = Client(accepted=False)
    client.hears(packet)

    assert client.protocol.failure is not None
    assert client.received == []


def test_bytes_that_are_no_packet_end_the_connection() -> None:
    """With MQTT's own reason."""
    client = Client()
    client.protocol.receive(b"\x30\x06\x00\x03\xff\x62\x2f\x00")

    assert client.wrote(DisconnectPacket).reason_code == DisconnectReasonCode.MALFORMED_PACKET


def test_silence_is_answered_by_a_ping() -> None:
    """The broker would end a connection on which it hears nothing."""
    client = Client()
    client.protocol.beat()
    client.hears(PingRespPacket())
    client.protocol.beat()

    client.wrote(PingReqPacket)


def test_a_broker_that_answers_no_ping_is_lost() -> None:
    """Half a keep-alive after the ping."""
    client = Client()
    client.protocol.beat()
    assert client.protocol.failure is None
    client.protocol.beat()

    assert isinstance(client.protocol.failure, LinkLostError)


def test_a_busy_connection_needs_no_ping() -> None:
    """Messages in both directions are signs of life themselves."""
    client = Client()
    client.protocol.publish(Message(topic="t", payload=b"x"), ignore)
    client.wrote(PublishPacket)
    client.protocol.beat()

    assert client.wrote_nothing()


def test_a_broker_that_is_held_back_is_not_blamed_for_its_silence() -> None:
    """Its answers lie behind what is not read; the pings go on."""
    client = Client(room=1)
    client.hears(work(1), work(2))
    for _ in range(5):
        client.protocol.beat()

    assert client.protocol.failure is None
    for _ in range(5):
        client.wrote(PingReqPacket)


def test_goodbye_is_a_disconnect() -> None:
    """Without it the broker would publish our will, if we had one, and log an error."""
    client = Client()
    client.protocol.say_goodbye()

    assert client.wrote(DisconnectPacket).reason_code == DisconnectReasonCode.NORMAL_DISCONNECTION
