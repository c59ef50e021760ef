"""Which property may stand in which packet, and what it holds (MQTT 5.0, section 2.2.2, table 2-4)."""

from __future__ import annotations

from collections.abc import Callable
from enum import Flag, auto

from enclaved.mqtt.packet_fields import Fields, PacketError, ReasonCode

__all__ = ["Place", "walk_properties"]


class Place(Flag):
    """Where properties stand: a kind of packet, or the will inside CONNECT."""

    CONNECT = auto()
    CONNACK = auto()
    PUBLISH = auto()
    WILL = auto()
    ACKNOWLEDGEMENT = auto()
    """PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK: a reason and user properties."""
    SUBSCRIBE = auto()
    UNSUBSCRIBE = auto()
    DISCONNECT = auto()
    AUTH = auto()


def walk_properties(fields: Fields, place: Place) -> frozenset[int]:
    """Walk a packet's properties and return which there are.

    Raises:
        PacketError: one is unknown, out of place, given twice, or holds what it may not.
    """
    size = fields.variable_integer("property length")
    if not size:
        return frozenset()
    properties = fields.part(size, "properties")
    found: set[int] = set()
    while properties.left:
        identifier = properties.byte("property")
        kind = _PROPERTIES.get(identifier)
        if kind is None or not kind[0] & place:
            raise PacketError("property", "does not belong here", reason_code=ReasonCode.MALFORMED_PACKET)
        if identifier in found and not _may_repeat(identifier, place):
            raise PacketError("property", "is given twice", reason_code=ReasonCode.PROTOCOL_ERROR)
        found.add(identifier)
        kind[1](properties)
    return frozenset(found)


def _may_repeat(identifier: int, place: Place) -> bool:
    """A user property may; a message may carry the identifier of each subscription that it matched."""
    return identifier == _USER or (identifier == _SUBSCRIPTION and place is Place.PUBLISH)


def _flag(fields: Fields) -> None:
    if fields.byte("flag property") > 1:
        raise PacketError("flag property", "is neither 0 nor 1", reason_code=ReasonCode.PROTOCOL_ERROR)


def _seconds(fields: Fields) -> None:
    fields.uint32("interval")


def _uint16(fields: Fields) -> None:
    fields.uint16("number property")


def _positive16(fields: Fields) -> None:
    if not fields.uint16("number property"):
        raise PacketError("number property", "is 0", reason_code=ReasonCode.PROTOCOL_ERROR)


def _positive32(fields: Fields) -> None:
    if not fields.uint32("number property"):
        raise PacketError("number property", "is 0", reason_code=ReasonCode.PROTOCOL_ERROR)


def _topic_alias(fields: Fields) -> None:
    if not fields.uint16("topic alias"):
        raise PacketError("topic alias", "is 0", reason_code=ReasonCode.TOPIC_ALIAS_INVALID)


def _subscription(fields: Fields) -> None:
    if not fields.variable_integer("subscription identifier"):
        raise PacketError("subscription identifier", "is 0", reason_code=ReasonCode.PROTOCOL_ERROR)


def _text(fields: Fields) -> None:
    fields.text("text property")


def _binary(fields: Fields) -> None:
    fields.binary("binary property")


def _response_topic(fields: Fields) -> None:
    fields.check_topic(fields.text("response topic"), "response topic")


def _pair(fields: Fields) -> None:
    fields.text("user property")
    fields.text("user property")


_USER, _SUBSCRIPTION = 38, 11
_MESSAGE = Place.PUBLISH | Place.WILL
_OPENING = Place.CONNECT | Place.CONNACK
_PROPERTIES: dict[int, tuple[Place, Callable[[Fields], None]]] = {
    1: (_MESSAGE, _flag),  # payload format indicator
    2: (_MESSAGE, _seconds),  # message expiry interval
    3: (_MESSAGE, _text),  # content type
    8: (_MESSAGE, _response_topic),
    9: (_MESSAGE, _binary),  # correlation data
    _SUBSCRIPTION: (Place.PUBLISH | Place.SUBSCRIBE, _subscription),
    17: (_OPENING | Place.DISCONNECT, _seconds),  # session expiry interval
    18: (Place.CONNACK, _text),  # assigned client identifier
    19: (Place.CONNACK, _uint16),  # server keep alive
    21: (_OPENING | Place.AUTH, _text),  # authentication method
    22: (_OPENING | Place.AUTH, _binary),  # authentication data
    23: (Place.CONNECT, _flag),  # request problem information
    24: (Place.WILL, _seconds),  # will delay interval
    25: (Place.CONNECT, _flag),  # request response information
    26: (Place.CONNACK, _text),  # response information
    28: (Place.CONNACK | Place.DISCONNECT, _text),  # server reference
    31: (Place.CONNACK | Place.ACKNOWLEDGEMENT | Place.DISCONNECT | Place.AUTH, _text),  # reason string
    33: (_OPENING, _positive16),  # receive maximum
    34: (_OPENING, _uint16),  # topic alias maximum
    35: (Place.PUBLISH, _topic_alias),
    36: (Place.CONNACK, _flag),  # maximum QoS
    37: (Place.CONNACK, _flag),  # retain available
    _USER: (~Place(0), _pair),
    39: (_OPENING, _positive32),  # maximum packet size
    40: (Place.CONNACK, _flag),  # wildcard subscription available
    41: (Place.CONNACK, _flag),  # subscription identifiers available
    42: (Place.CONNACK, _flag),  # shared subscription available
}
