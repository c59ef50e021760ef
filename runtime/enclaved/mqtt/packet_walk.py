"""A walk over one MQTT 5 packet, before any codec sees it (MQTT 5.0, chapters 2 and 3).

The codec is fast, but it aborts on text that is not UTF-8 and accepts packet
identifier 0, wildcards in topic names, and lengths that contradict each other.
So each packet is walked here first, byte by byte but for the payload: fixed
header, lengths, text, topics, identifiers, and which property may stand where.
What passes is well formed; what does not raises `PacketError` with the reason
code that the other side is to be told.
"""

from __future__ import annotations

from collections.abc import Callable

from enclaved.errors import ProtocolError
from enclaved.mqtt.packet_fields import Fields, PacketError, ReasonCode, check_topic
from enclaved.mqtt.packet_properties import Place, walk_properties
from enclaved.mqtt.topic_filters import parse_topic_filter

__all__ = ["walk_packet"]

_PROTOCOL_NAME = "MQTT"
_VERSION = 5


def walk_packet(data: bytes, *, header: int) -> None:
    """Check that a packet is well formed.

    Args:
        data: the packet, and nothing more.
        header: how many bytes its fixed header has, remaining length included.

    Raises:
        PacketError: it is not.
    """
    first = data[0]
    kind, flags = first >> 4, first & 0x0F
    if kind == 0:
        raise PacketError("packet type", "is reserved", reason_code=ReasonCode.MALFORMED_PACKET)
    wanted = _FLAGS.get(kind)
    if wanted is not None and flags != wanted:
        raise PacketError("packet flags", "are reserved", reason_code=ReasonCode.MALFORMED_PACKET)
    fields = Fields(data, start=header)
    if kind == _PUBLISH:
        _walk_publish(fields, flags)
    else:
        _WALKS[kind](fields)
        fields.finish()


def _walk_publish(fields: Fields, flags: int) -> None:
    qos = flags >> 1 & 3
    if qos == 3 or (qos == 0 and flags & 8):
        raise PacketError("publish flags", "contradict each other", reason_code=ReasonCode.MALFORMED_PACKET)
    topic = fields.text("topic")
    if topic:
        check_topic(topic, "topic")
    if qos:
        fields.packet_id()
    found = walk_properties(fields, Place.PUBLISH)
    if not topic and _TOPIC_ALIAS not in found:
        raise PacketError("topic", "is empty", reason_code=ReasonCode.PROTOCOL_ERROR)


def _walk_connect(fields: Fields) -> None:
    if fields.text("protocol name") != _PROTOCOL_NAME or fields.byte("protocol version") != _VERSION:
        code = ReasonCode.UNSUPPORTED_PROTOCOL_VERSION
        raise PacketError("protocol version", "is not MQTT 5", reason_code=code)
    flags = fields.byte("connect flags")
    will, will_qos = flags & 0x04, flags >> 3 & 3
    if flags & 1 or will_qos == 3 or (not will and flags & 0x38):
        raise PacketError("connect flags", "contradict each other", reason_code=ReasonCode.MALFORMED_PACKET)
    fields.uint16("keep alive")
    found = walk_properties(fields, Place.CONNECT)
    if _AUTHENTICATION_DATA in found and _AUTHENTICATION_METHOD not in found:
        raise PacketError("authentication data", "has no method", reason_code=ReasonCode.PROTOCOL_ERROR)
    fields.text("client id")
    if will:
        walk_properties(fields, Place.WILL)
        fields.topic("will topic")
        fields.binary("will payload")
    if flags & 0x80:
        fields.text("user name")
    if flags & 0x40:
        fields.binary("password")


def _walk_connack(fields: Fields) -> None:
    if fields.byte("connack flags") > 1:
        raise PacketError("connack flags", "are reserved", reason_code=ReasonCode.MALFORMED_PACKET)
    fields.byte("reason code")
    walk_properties(fields, Place.CONNACK)


def _walk_acknowledgement(fields: Fields) -> None:
    """PUBACK, PUBREC, PUBREL and PUBCOMP may end after the id, or after the reason code."""
    fields.packet_id()
    if fields.left:
        fields.byte("reason code")
    if fields.left:
        walk_properties(fields, Place.ACKNOWLEDGEMENT)


def _walk_subscribe(fields: Fields) -> None:
    fields.packet_id()
    walk_properties(fields, Place.SUBSCRIBE)
    if not fields.left:
        raise PacketError("subscribe", "names no topic filter", reason_code=ReasonCode.PROTOCOL_ERROR)
    while fields.left:
        shared = _walk_filter(fields)
        options = fields.byte("subscription options")
        if options & 0xC0 or options & 3 == 3 or options >> 4 & 3 == 3:
            raise PacketError("subscription options", "are reserved", reason_code=ReasonCode.MALFORMED_PACKET)
        if shared and options & 4:  # MQTT-3.8.3-4
            raise PacketError("no local", "is set on a share", reason_code=ReasonCode.PROTOCOL_ERROR)


def _walk_unsubscribe(fields: Fields) -> None:
    fields.packet_id()
    walk_properties(fields, Place.UNSUBSCRIBE)
    if not fields.left:
        raise PacketError("unsubscribe", "names no topic filter", reason_code=ReasonCode.PROTOCOL_ERROR)
    while fields.left:
        _walk_filter(fields)


def _walk_filter(fields: Fields) -> bool:
    """Walk a topic filter and tell whether it is shared."""
    text = fields.text("topic filter")
    try:
        return parse_topic_filter(text).share is not None
    except ProtocolError as error:
        code = ReasonCode.TOPIC_FILTER_INVALID
        raise PacketError(error.what, error.reason, reason_code=code) from error


def _walk_subscription_answer(fields: Fields) -> None:
    fields.packet_id()
    walk_properties(fields, Place.ACKNOWLEDGEMENT)
    if not fields.left:
        raise PacketError("reason codes", "are missing", reason_code=ReasonCode.MALFORMED_PACKET)
    while fields.left:
        fields.byte("reason code")


def _walk_disconnect(fields: Fields) -> None:
    if fields.left:
        fields.byte("reason code")
    if fields.left:
        walk_properties(fields, Place.DISCONNECT)


def _walk_auth(fields: Fields) -> None:
    if fields.left:
        fields.byte("reason code")
        walk_properties(fields, Place.AUTH)


def _walk_ping(fields: Fields) -> None:
    """PINGREQ and PINGRESP are empty; `finish` sees to it."""


_PUBLISH = 3
_TOPIC_ALIAS = 35
_AUTHENTICATION_METHOD, _AUTHENTICATION_DATA = 21, 22
_FLAGS = {kind: 2 if kind in (6, 8, 10) else 0 for kind in range(1, 16) if kind != _PUBLISH}  # table 2-2
_WALKS: dict[int, Callable[[Fields], None]] = {
    1: _walk_connect,
    2: _walk_connack,
    4: _walk_acknowledgement,
    5: _walk_acknowledgement,
    6: _walk_acknowledgement,
    7: _walk_acknowledgement,
    8: _walk_subscribe,
    9: _walk_subscription_answer,
    10: _walk_unsubscribe,
    11: _walk_subscription_answer,
    12: _walk_ping,
    13: _walk_ping,
    14: _walk_disconnect,
    15: _walk_auth,
}
