"""Bytes from a broker, into our own connection's rules; and from a client, into the development broker's.

Whatever comes, nothing may be raised: a wrong byte is that connection's end and
nobody's crash. And the promises hold all the same: no more is handed up than
there is room for, and what goes out is well formed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from enclaved.clock import SystemClock
from enclaved.errors import TransportError
from enclaved.mqtt.broker.connection import ClientConnection
from enclaved.mqtt.broker.limits import BrokerLimits
from enclaved.mqtt.broker.publication import Publication, route_unchanged
from enclaved.mqtt.broker.router import Router
from enclaved.mqtt.client_protocol import ClientProtocol
from enclaved.mqtt.link import Opening, Received
from enclaved.mqtt.packets import (
    AuthPacket,
    ConnAckPacket,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    Packet,
    PacketReader,
    PingReqPacket,
    PingRespPacket,
    PubAckPacket,
    PubAckReasonCode,
    PublishPacket,
    QoS,
    SubAckPacket,
    SubAckReasonCode,
    SubscribePacket,
    TopicFilter,
    UnsubAckPacket,
    UnsubAckReasonCode,
    UnsubscribePacket,
    Will,
    encode_packet,
)
from enclaved.mqtt.transport import Message
from mutation import cut

__all__ = ["BROKER_CORPUS", "CLIENT_CORPUS", "broker_hears", "client_hears"]

ROOM = 3
_PACKET_BYTES = 2048


def _encode(packets: Sequence[Packet]) -> tuple[bytes, ...]:
    return tuple(encode_packet(packet) for packet in packets)


BROKER_CORPUS = _encode(
    [
        ConnAckPacket(session_present=True, receive_max=7, max_packet_size=4000, server_keep_alive=9),
        ConnAckPacket(assigned_client_id="given", reason_str="é", user_properties=[("a", "b")]),
        PublishPacket("a/b", b"payload", qos=QoS.AT_LEAST_ONCE, packet_id=1),
        PublishPacket("a/b", b"x" * 200, qos=QoS.AT_LEAST_ONCE, packet_id=2, duplicate=True, retain=True),
        PublishPacket("t", b"", user_properties=[("k", "v"), ("k", "w")], subscription_ids=[1, 300]),
        PublishPacket(
            "enclaved/v1/demo/reply/c",
            b"\x00\xff" * 40,
            qos=QoS.AT_LEAST_ONCE,
            packet_id=65535,
            response_topic="r/é",
            correlation_data=b"\x00c",
            content_type="text/plain",
            message_expiry_interval=60,
            payload_format_indicator=1,
        ),
        PublishPacket("a", b"q2", qos=QoS.EXACTLY_ONCE, packet_id=3),
        PubAckPacket(1),
        PubAckPacket(2, reason_code=PubAckReasonCode.NOT_AUTHORIZED, reason_str="no"),
        SubAckPacket(3, [SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE, SubAckReasonCode.NOT_AUTHORIZED]),
        UnsubAckPacket(4, [UnsubAckReasonCode.SUCCESS]),
        PingRespPacket(),
        DisconnectPacket(reason_code=DisconnectReasonCode.SERVER_BUSY, reason_str="busy", server_reference="x"),
        AuthPacket(authentication_method="m"),
    ]
)
"""What a broker may say, and a little of what it may not."""

CLIENT_CORPUS = _encode(
    [
        ConnectPacket("c", clean_start=True, keep_alive=30, receive_max=2, max_packet_size=1000),
        ConnectPacket(
            "d",
            username="u",
            password=b"p",
            session_expiry_interval=60,
            will=Will("w/t", payload=b"gone", will_delay_interval=5, user_properties=[("a", "b")]),
        ),
        SubscribePacket(1, [TopicFilter("a/#", max_qos=QoS.AT_LEAST_ONCE), TopicFilter("$share/g/+/b")]),
        SubscribePacket(2, [TopicFilter("#", no_local=True)], subscription_id=7),
        UnsubscribePacket(3, ["a/#"]),
        PublishPacket("a/b", b"payload", qos=QoS.AT_LEAST_ONCE, packet_id=9, response_topic="r", correlation_data=b"c"),
        PublishPacket("a/b", b"kept", retain=True),
        PublishPacket("a/b", b"", retain=True, message_expiry_interval=1),
        PubAckPacket(1),
        PingReqPacket(),
        DisconnectPacket(session_expiry_interval=5),
        DisconnectPacket(reason_code=DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE),
        AuthPacket(authentication_method="m"),
    ]
)
"""What a client may say."""


def client_hears(data: bytes, chance: random.Random) -> bool:
    """Give our connection some bytes; tell whether it still stands."""
    held: list[Received] = []
    written = PacketReader(max_packet_size=1 << 16)
    protocol = ClientProtocol(
        Opening(clean_start=True, session_expiry_s=0, receive_maximum=ROOM, received=held.append),
        keep_alive_s=30,
        packet_bytes=_PACKET_BYTES,
        send=written.receive,
        changed=lambda: None,
    )
    if chance.random() < 0.9:
        protocol.receive(BROKER_CORPUS[0])
        for payload in (b"1", b"2"):
            protocol.publish(Message(topic="t", payload=payload), lambda code: None)
        protocol.subscribe(["a/b", "c"])
    for piece in cut(data, chance):
        protocol.receive(piece)
        assert len(held) <= ROOM, "more was handed up than there is room for"
        if held and chance.random() < 0.5:
            held.pop(0).acknowledge()
            protocol.read_on()
        protocol.beat()
    try:
        protocol.publish(Message(topic="t", payload=b"3"), lambda code: None)
    except TransportError:
        assert protocol.failure is not None, "a publish fails on a connection that stands"
    while written.next_packet() is not None:  # raises where we wrote what is not well formed
        pass
    return protocol.failure is None


def broker_hears(data: bytes, chance: random.Random) -> bool:
    """Give the development broker some bytes of a client; tell whether it keeps the connection."""
    router = Router(
        limits=BrokerLimits(packet_bytes=_PACKET_BYTES),
        monotonic=SystemClock().monotonic,
        interceptor=route_unchanged,
        witness=_see,
        on_delayed=lambda: None,
    )
    connection = ClientConnection(
        router, limits=BrokerLimits(), monotonic=SystemClock().monotonic, random=chance.randbytes, wake=lambda: None
    )
    if chance.random() < 0.9:
        connection.receive(CLIENT_CORPUS[chance.randrange(2)])
        connection.receive(CLIENT_CORPUS[3])
    written = PacketReader(max_packet_size=1 << 16)
    for piece in cut(data, chance):
        connection.receive(piece)
        written.receive(connection.take_output())
    while written.next_packet() is not None:  # raises where it wrote what is not well formed
        pass
    kept = not connection.closing
    connection.lost()
    return kept


def _see(publication: Publication) -> None:
    assert publication.topic, "a publication without a topic"
