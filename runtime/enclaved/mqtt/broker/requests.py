"""Between packets and the router's values: PUBLISH, SUBSCRIBE and UNSUBSCRIBE of one client."""

from __future__ import annotations

import math

from enclaved.mqtt.broker.publication import Publication
from enclaved.mqtt.broker.router import RetainedOnSubscribe, Router
from enclaved.mqtt.broker.session import Outgoing, Session
from enclaved.mqtt.broker.subscriptions import Subscription
from enclaved.mqtt.packet_fields import PacketError, ReasonCode
from enclaved.mqtt.packets import (
    PublishPacket,
    QoS,
    RetainHandling,
    SubAckPacket,
    SubAckReasonCode,
    SubscribePacket,
    TopicFilter,
    UnsubAckPacket,
    UnsubAckReasonCode,
    UnsubscribePacket,
    build_packet,
)
from enclaved.mqtt.topic_filters import parse_topic_filter

__all__ = ["publication_of", "publish_packet", "subscribe", "unsubscribe"]


def publication_of(packet: PublishPacket, *, publisher: str, now: float) -> Publication:
    """Read what a client publishes.

    Raises:
        PacketError: it uses what CONNACK did not offer, or what only a broker may send.
    """
    if packet.topic_alias is not None:  # CONNACK said Topic Alias Maximum 0
        raise PacketError("topic alias", "was not offered", reason_code=ReasonCode.TOPIC_ALIAS_INVALID)
    if packet.qos == QoS.EXACTLY_ONCE:
        raise PacketError("QoS", "was not offered", reason_code=ReasonCode.QOS_NOT_SUPPORTED)
    if packet.subscription_ids:  # MQTT-3.3.4-6
        raise PacketError("subscription identifier", "is not a client's", reason_code=ReasonCode.PROTOCOL_ERROR)
    lifetime = packet.message_expiry_interval
    return Publication(
        publisher=publisher,
        topic=packet.topic,
        payload=packet.payload,
        qos=int(packet.qos),
        retain=packet.retain,
        payload_format_indicator=packet.payload_format_indicator,
        content_type=packet.content_type,
        response_topic=packet.response_topic,
        correlation_data=packet.correlation_data,
        user_properties=tuple(packet.user_properties),
        expires_at=None if lifetime is None else now + lifetime,
    )


def publish_packet(outgoing: Outgoing, *, now: float) -> PublishPacket:
    """Write what a client is sent; of its expiry what is left (section 3.3.2.3.3).

    Raises:
        PacketError: no packet can carry it; only an interceptor makes such a message.
    """
    waiting = outgoing.waiting
    publication = waiting.publication
    expires_at = publication.expires_at
    return build_packet(
        PublishPacket,
        publication.topic,
        publication.payload,
        qos=QoS.AT_LEAST_ONCE if waiting.qos else QoS.AT_MOST_ONCE,
        retain=waiting.retain,
        packet_id=outgoing.packet_id,
        duplicate=outgoing.duplicate,
        payload_format_indicator=publication.payload_format_indicator,
        message_expiry_interval=None if expires_at is None else max(0, math.ceil(expires_at - now)),
        content_type=publication.content_type,
        response_topic=publication.response_topic,
        correlation_data=publication.correlation_data,
        subscription_ids=list(waiting.identifiers),
        user_properties=list(publication.user_properties),
    )


def subscribe(router: Router, session: Session, packet: SubscribePacket) -> SubAckPacket:
    """Subscribe to each filter, and answer for each."""
    codes = [_subscribe_one(router, session, wanted, packet.subscription_id) for wanted in packet.topic_filters]
    return SubAckPacket(packet.packet_id, codes)


def unsubscribe(router: Router, session: Session, packet: UnsubscribePacket) -> UnsubAckPacket:
    """Unsubscribe from each filter, and answer for each."""
    codes = [
        UnsubAckReasonCode.SUCCESS
        if router.unsubscribe(session, pattern)
        else UnsubAckReasonCode.NO_SUBSCRIPTION_EXISTED
        for pattern in packet.patterns
    ]
    return UnsubAckPacket(packet.packet_id, codes)


def _subscribe_one(router: Router, session: Session, wanted: TopicFilter, identifier: int | None) -> SubAckReasonCode:
    qos = min(int(wanted.max_qos), 1)
    subscription = Subscription(
        client_id=session.client_id,
        filter=parse_topic_filter(wanted.pattern),
        qos=qos,
        no_local=wanted.no_local,
        retain_as_published=wanted.retain_as_published,
        identifier=identifier,
    )
    on_retained = RetainedOnSubscribe(
        if_new=wanted.retain_handling != RetainHandling.SEND_NEVER,
        if_known=wanted.retain_handling == RetainHandling.SEND_ALWAYS,
    )
    code = router.subscribe(session, wanted.pattern, subscription, on_retained)
    return SubAckReasonCode(qos if code is ReasonCode.SUCCESS else code)
