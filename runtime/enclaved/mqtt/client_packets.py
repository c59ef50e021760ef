"""Between our values and packets: what a client writes, and what it reads of a PUBLISH.

The rules that a connection follows are in `client_protocol`; here is only which
field goes where (MQTT 5.0, sections 3.1, 3.3 and 3.8).
"""

from __future__ import annotations

from collections.abc import Sequence

from enclaved.mqtt.link import Opening
from enclaved.mqtt.packets import (
    ConnectPacket,
    PublishPacket,
    QoS,
    RetainHandling,
    SubscribePacket,
    TopicFilter,
    build_packet,
    encode_packet,
    encode_unwalked,
)
from enclaved.mqtt.transport import Connection, Message

__all__ = ["connect_bytes", "message_of", "publish_bytes", "subscribe_bytes"]


def connect_bytes(connection: Connection, opening: Opening) -> bytes:
    """Return CONNECT: who we are, what we take, and which session we want.

    Raises:
        PacketError: a name or password is longer than MQTT can say.
    """
    packet = build_packet(
        ConnectPacket,
        connection.client_id,
        username=connection.username,
        password=None if connection.password is None else connection.password.encode(),
        clean_start=opening.clean_start,
        keep_alive=connection.keep_alive_s,
        session_expiry_interval=opening.session_expiry_s,
        receive_max=opening.receive_maximum,
        max_packet_size=connection.packet_bytes,
    )
    return encode_packet(packet)


def subscribe_bytes(packet_id: int, topics: Sequence[str]) -> bytes:
    """Return SUBSCRIBE at QoS 1, with the publisher's retain flag kept.

    Raises:
        PacketError: a topic is no filter.
    """
    filters = [
        build_packet(
            TopicFilter,
            topic,
            max_qos=QoS.AT_LEAST_ONCE,
            retain_as_published=True,
            retain_handling=RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
        )
        for topic in topics
    ]
    return encode_packet(build_packet(SubscribePacket, packet_id, filters))


def publish_bytes(message: Message, packet_id: int) -> bytes:
    """Return PUBLISH at QoS 1 for a message that `check_message` has passed.

    Raises:
        PacketError: no packet can carry it.
    """
    packet = build_packet(
        PublishPacket,
        message.topic,
        message.payload,
        qos=QoS.AT_LEAST_ONCE,
        retain=message.retain,
        packet_id=packet_id,
        message_expiry_interval=message.expiry_s,
        content_type=message.content_type,
        response_topic=message.response_topic,
        correlation_data=message.correlation_data,
    )
    return encode_unwalked(packet)


def message_of(packet: PublishPacket) -> Message:
    """Return the message that a PUBLISH carries."""
    return Message(
        topic=packet.topic,
        payload=packet.payload,
        retain=packet.retain,
        response_topic=packet.response_topic,
        correlation_data=packet.correlation_data,
        content_type=packet.content_type,
        expiry_s=packet.message_expiry_interval,
    )
