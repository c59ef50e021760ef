"""Packets of every kind, for hypothesis."""

from __future__ import annotations

from enclaved.mqtt.packets import (
    AuthPacket,
    ConnAckPacket,
    ConnAckReasonCode,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    Packet,
    PingReqPacket,
    PingRespPacket,
    PubAckPacket,
    PubAckReasonCode,
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
    Will,
)
from hypothesis import strategies as st

__all__ = ["packets", "topic_filters", "topic_names"]

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
levels = st.text(st.characters(codec="utf-8", exclude_characters="\0+#/"), max_size=4)
topic_names = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
blobs = st.binary(max_size=20)
uint16 = st.integers(0, 0xFFFF)
uint32 = st.integers(0, 0xFFFFFFFF)
ids = st.integers(1, 0xFFFF)
pairs = st.lists(st.tuples(texts, texts), max_size=2)
qos = st.sampled_from([QoS.AT_MOST_ONCE, QoS.AT_LEAST_ONCE, QoS.EXACTLY_ONCE])
flags = st.integers(0, 1)


@st.composite
def topic_filters(draw: st.DrawFn) -> str:
    """Return a valid topic filter, perhaps with wildcards."""
    parts = draw(st.lists(st.one_of(levels, st.just("+")), min_size=1, max_size=4))
    if draw(st.booleans()):
        parts.append("#")
    text = "/".join(parts)
    return text if text and not text.startswith("$share/") else "+"


wills = st.builds(
    Will,
    topic_names,
    payload=blobs,
    qos=qos,
    retain=st.booleans(),
    payload_format_indicator=flags,
    message_expiry_interval=st.none() | uint32,
    content_type=st.none() | texts,
    response_topic=st.none() | topic_names,
    correlation_data=st.none() | blobs,
    will_delay_interval=uint32,
    user_properties=pairs,
)


@st.composite
def publishes(draw: st.DrawFn) -> PublishPacket:
    """Return a PUBLISH."""
    level = draw(qos)
    sent_before = level != QoS.AT_MOST_ONCE and draw(st.booleans())
    return PublishPacket(
        draw(topic_names),
        draw(st.binary(max_size=300)),
        qos=level,
        retain=draw(st.booleans()),
        packet_id=None if level == QoS.AT_MOST_ONCE else draw(ids),
        duplicate=sent_before,
        payload_format_indicator=draw(flags),
        message_expiry_interval=draw(st.none() | uint32),
        content_type=draw(st.none() | texts),
        response_topic=draw(st.none() | topic_names),
        correlation_data=draw(st.none() | blobs),
        subscription_ids=draw(st.lists(st.integers(1, 268_435_455), max_size=3)),
        topic_alias=draw(st.none() | ids),
        user_properties=draw(pairs),
    )


connects = st.builds(
    ConnectPacket,
    texts,
    username=st.none() | texts,
    password=st.none() | blobs,
    clean_start=st.booleans(),
    will=st.none() | wills,
    keep_alive=uint16,
    session_expiry_interval=uint32,
    request_problem_info=st.booleans(),
    request_response_info=st.booleans(),
    receive_max=ids,
    topic_alias_max=uint16,
    max_packet_size=st.none() | st.integers(1, 0xFFFFFFFF),
    user_properties=pairs,
)
connacks = st.builds(
    ConnAckPacket,
    session_present=st.booleans(),
    reason_code=st.sampled_from([ConnAckReasonCode(code) for code in (0, 0x80, 0x87, 0x97)]),
    session_expiry_interval=st.none() | uint32,
    assigned_client_id=st.none() | texts,
    server_keep_alive=st.none() | uint16,
    reason_str=st.none() | texts,
    receive_max=ids,
    topic_alias_max=uint16,
    max_qos=qos,
    retain_available=st.booleans(),
    max_packet_size=st.none() | st.integers(1, 0xFFFFFFFF),
    user_properties=pairs,
)
filters = st.builds(
    TopicFilter,
    topic_filters(),
    max_qos=qos,
    no_local=st.booleans(),
    retain_as_published=st.booleans(),
    retain_handling=st.sampled_from(
        [
            RetainHandling.SEND_ALWAYS,
            RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
            RetainHandling.SEND_NEVER,
        ]
    ),
)
subscribes = st.builds(
    SubscribePacket,
    ids,
    st.lists(filters, min_size=1, max_size=3),
    subscription_id=st.none() | st.integers(1, 268_435_455),
    user_properties=pairs,
)
packets: st.SearchStrategy[Packet] = st.one_of(
    publishes(),
    connects,
    connacks,
    subscribes,
    st.builds(
        PubAckPacket,
        ids,
        reason_code=st.sampled_from([PubAckReasonCode(code) for code in (0, 0x10, 0x87, 0x97)]),
        reason_str=st.none() | texts,
        user_properties=pairs,
    ),
    st.builds(
        SubAckPacket,
        ids,
        st.lists(st.sampled_from([SubAckReasonCode(code) for code in (0, 1, 2, 0x87)]), min_size=1, max_size=3),
        reason_str=st.none() | texts,
        user_properties=pairs,
    ),
    st.builds(UnsubscribePacket, ids, st.lists(topic_filters(), min_size=1, max_size=3), user_properties=pairs),
    st.builds(
        UnsubAckPacket,
        ids,
        st.lists(st.sampled_from([UnsubAckReasonCode(code) for code in (0, 0x11, 0x87)]), min_size=1, max_size=3),
    ),
    st.builds(PingReqPacket),
    st.builds(PingRespPacket),
    st.builds(
        DisconnectPacket,
        reason_code=st.sampled_from([DisconnectReasonCode(code) for code in (0, 4, 0x81, 0x8E)]),
        session_expiry_interval=st.none() | uint32,
        server_reference=st.none() | texts,
        reason_str=st.none() | texts,
        user_properties=pairs,
    ),
    st.builds(AuthPacket, authentication_method=texts, authentication_data=blobs),
)
