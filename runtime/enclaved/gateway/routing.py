"""What becomes of a message that was delivered: forwarded, hinted at, or discarded.

These are rules only; nothing here reads or writes. The order is an attacker's: what
costs nothing to refuse comes first. What is discarded is acknowledged and counted,
and nobody is told: a stranger learns nothing by it and cannot make the gateway write.

The header is read here to route by, not believed: the enclave authenticates it.
"""

from __future__ import annotations

from dataclasses import dataclass

from enclaved.errors import ProtocolError
from enclaved.gateway.counters import Counter
from enclaved.gateway.outgoing_topics import ReplyAddress, reply_address
from enclaved.gateway.station import Station
from enclaved.mqtt.transport import Message
from enclaved.wire.header import InvocationHeader, decode_invocation_header, split_invocation
from enclaved.wire.hint import Hint, encode_hint
from enclaved.wire.limits import MAX_INVOCATION

__all__ = ["Decision", "Discard", "Forward", "SendHint", "route"]

_MALFORMED = encode_hint(Hint(v=1, hint="malformed", session_id=None, sequence=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """It goes to the enclave.

    Attributes:
        message: the invocation message.
        reply_to: where the answer goes, or None for an event that nobody waits for.
    """

    message: bytes
    reply_to: ReplyAddress | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendHint:
    """It cannot be read, but its sender can be told.

    Attributes:
        payload: the hint.
        reply_to: where it goes.
    """

    payload: bytes
    reply_to: ReplyAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard:
    """It is acknowledged, counted and forgotten.

    Attributes:
        why: what is counted.
    """

    why: Counter


Decision = Forward | SendHint | Discard


def route(message: Message, station: Station) -> Decision:
    """Decide what becomes of a message.

    Args:
        message: as it was delivered: untrusted throughout.
        station: the lane on which it came.

    Returns:
        The decision, for any message whatever.
    """
    # 1. Retained: it would be run again at each subscription.
    if message.retain:
        return Discard(why=Counter.RETAINED)
    # 2. Too large to be an invocation.
    if len(message.payload) > MAX_INVOCATION:
        return Discard(why=Counter.OVERSIZE)
    # 3. Not an invocation.
    try:
        header = decode_invocation_header(split_invocation(message.payload).header)
    except ProtocolError:
        return _unreadable(message, station)
    # 4. Another runtime's: several share a trigger topic.
    if header.runtime_id != station.runtime_id:
        return Discard(why=Counter.FOREIGN)
    # 5. A reply topic outside the prefix: a caller must not borrow our rights.
    return _readable(message, header, station)


def _readable(message: Message, header: InvocationHeader, station: Station) -> Decision:
    if header.response_topic is None:
        return Forward(message=message.payload, reply_to=None)
    try:
        reply_to = reply_address(
            header.response_topic, correlation_data=message.correlation_data, namespace=station.namespace
        )
    except ProtocolError:
        return Discard(why=Counter.BAD_REPLY_TOPIC)
    return Forward(message=message.payload, reply_to=reply_to)


def _unreadable(message: Message, station: Station) -> Decision:
    """Hint on the function's own topic only: on a shared one, each runtime would."""
    if message.topic != station.invoke_topic or message.response_topic is None:
        return Discard(why=Counter.MALFORMED)
    try:
        reply_to = reply_address(
            message.response_topic, correlation_data=message.correlation_data, namespace=station.namespace
        )
    except ProtocolError:
        return Discard(why=Counter.MALFORMED)
    return SendHint(payload=_MALFORMED, reply_to=reply_to)
