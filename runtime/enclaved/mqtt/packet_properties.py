"""Which property may stand in which packet, and what it holds (MQTT 5.0, section 2.2.2, table 2-4)."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from enum import IntEnum, auto

from enclaved.mqtt.packet_fields import Fields, PacketError, ReasonCode

__all__ = ["Place", "walk_properties"]


class Place(IntEnum):
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


def walk_properties(fields: Fields, place: Place) -> AbstractSet[int]:
    """Walk a packet's properties and return which there are.

    Raises:
        PacketError: one is unknown, out of place, given twice, or holds what it may not.
    """
    size = fields.variable_integer("property length")
    if not size:
        return _NONE
    properties = fields.part(size, "properties")
    allowed = _BY_PLACE[place]
    found: set[int] = set()
    while not properties.at_end:
        identifier = properties.byte("property")
        walk = allowed.get(identifier)
        if walk is None:
            raise PacketError("property", "does not belong here", reason_code=ReasonCode.MALFORMED_PACKET)
        if identifier in found and not _may_repeat(identifier, place):
            raise PacketError("property", "is given twice", reason_code=ReasonCode.PROTOCOL_ERROR)
        found.add(identifier)
        walk(properties)
    return found


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
    fields.topic("response topic")


def _pair(fields: Fields) -> None:
    fields.text("user property")
    fields.text("user property")


_NONE: frozenset[int] = frozenset()
_USER, _SUBSCRIPTION = 38, 11
_MESSAGE = frozenset({Place.PUBLISH, Place.WILL})
_OPENING = frozenset({Place.CONNECT, Place.CONNACK})
_CONNECT, _CONNACK = frozenset({Place.CONNECT}), frozenset({Place.CONNACK})
_PROPERTIES: dict[int, tuple[frozenset[Place], Callable[[Fields], None]]] = {
    1: (_MESSAGE, _flag),  # payload format indicator
    2: (_MESSAGE, _seconds),  # message expiry interval
    3: (_MESSAGE, _text),  # content type
    8: (_MESSAGE, _response_topic),
    9: (_MESSAGE, _binary),  # correlation data
    _SUBSCRIPTION: (frozenset({Place.PUBLISH, Place.SUBSCRIBE}), _subscription),
    17: (_OPENING | {Place.DISCONNECT}, _seconds),  # session expiry interval
    18: (_CONNACK, _text),  # assigned client identifier
    19: (_CONNACK, _uint16),  # server keep alive
    21: (_OPENING | {Place.AUTH}, _text),  # authentication method
    22: (_OPENING | {Place.AUTH}, _binary),  # authentication data
    23: (_CONNECT, _flag),  # request problem information
    24: (frozenset({Place.WILL}), _seconds),  # will delay interval
    25: (_CONNECT, _flag),  # request response information
    26: (_CONNACK, _text),  # response information
    28: (_CONNACK | {Place.DISCONNECT}, _text),  # server reference
    31: (_CONNACK | {Place.ACKNOWLEDGEMENT, Place.DISCONNECT, Place.AUTH}, _text),  # reason string
    33: (_OPENING, _positive16),  # receive maximum
    34: (_OPENING, _uint16),  # topic alias maximum
    35: (frozenset({Place.PUBLISH}), _topic_alias),
    36: (_CONNACK, _flag),  # maximum QoS
    37: (_CONNACK, _flag),  # retain available
    _USER: (frozenset(Place), _pair),
    39: (_OPENING, _positive32),  # maximum packet size
    40: (_CONNACK, _flag),  # wildcard subscription available
    41: (_CONNACK, _flag),  # subscription identifiers available
    42: (_CONNACK, _flag),  # shared subscription available
}
_BY_PLACE = {
    place: {identifier: walk for identifier, (places, walk) in _PROPERTIES.items() if place in places}
    for place in Place
}
