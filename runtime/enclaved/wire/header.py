"""What a host may read of an invocation and of a result: their headers, in clear.

The header is authenticated with the ciphertext, so a host can read it and route
by it, but not change it. Everything else stays closed to whoever imports this.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from enclaved.errors import ProtocolError
from enclaved.wire.codec import decode, encode
from enclaved.wire.limits import MAX_HEADER, MAX_INVOCATION, MAX_OFFER, MAX_RESULT, MAX_SEQUENCE, MAX_TIME_MS
from enclaved.wire.topics import check_name, check_topic

__all__ = [
    "InvocationHeader",
    "InvocationParts",
    "ResultHeader",
    "ResultParts",
    "decode_invocation_header",
    "decode_result_header",
    "join_invocation",
    "join_result",
    "split_invocation",
    "split_result",
]

_ID_SIZE = 16
_SALT_SIZE = 32


class InvocationHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of an invocation that the host can read.

    Attributes:
        v: 1.
        runtime_id: the runtime that the caller chose; no other runs it.
        key_id: the bundle that it is sealed to, 16 bytes.
        session_id: 16 bytes.
        sequence: the message's number in its session; one number is sealed once.
        verified_below: the lowest sequence whose result the caller has not verified yet.
        function: the function's name; it is authorised from here, never from the topic.
        response_topic: where the answer goes, or None for an event that nobody waits for.
        expires_at: Unix milliseconds; not started afterwards.
        evidence: ``"full"`` to have the attestation sent along, or ``"digest"``.
    """

    v: int
    runtime_id: str
    key_id: bytes
    session_id: bytes
    sequence: int
    verified_below: int
    function: str
    response_topic: str | None
    expires_at: int
    evidence: Literal["full", "digest"]


class ResultHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of a result that the host can read.

    Attributes:
        v: 1.
        key_id: the bundle that answered, 16 bytes.
        session_id: 16 bytes.
        sequence: the invocation's.
        salt: 32 random bytes; with the request they make a key that is used once.
    """

    v: int
    key_id: bytes
    session_id: bytes
    sequence: int
    salt: bytes


class InvocationParts(msgspec.Struct, frozen=True, kw_only=True):
    """An invocation's three parts, each as it was received."""

    header: bytes
    offer: bytes | None
    ciphertext: bytes


class ResultParts(msgspec.Struct, frozen=True, kw_only=True):
    """A result's three parts, each as it was received."""

    header: bytes
    ciphertext: bytes
    attestation: bytes | None


def join_invocation(parts: InvocationParts) -> bytes:
    """Return an invocation message."""
    return encode((parts.header, parts.offer, parts.ciphertext))


def split_invocation(message: bytes) -> InvocationParts:
    """Return the three parts of an invocation message.

    Args:
        message: untrusted bytes, at most `MAX_INVOCATION`.

    Returns:
        The parts; the header is not decoded yet.

    Raises:
        ProtocolError: it is not an array of header, offer or nil, and ciphertext.
    """
    header, offer, ciphertext = decode(
        message, tuple[bytes, bytes | None, bytes], what="invocation", max_size=MAX_INVOCATION, max_depth=1
    )
    if offer is not None and len(offer) > MAX_OFFER:
        raise ProtocolError("invocation", f"an offer of more than {MAX_OFFER} bytes")
    return InvocationParts(header=header, offer=offer, ciphertext=ciphertext)


def decode_invocation_header(data: bytes) -> InvocationHeader:
    """Return the header that the bytes encode.

    Raises:
        ProtocolError: it is not an invocation header of version 1.
    """
    header = decode(data, InvocationHeader, what="invocation header", max_size=MAX_HEADER, max_depth=1)
    _check_ids("invocation header", v=header.v, ids=(header.key_id, header.session_id), sequence=header.sequence)
    check_name(header.runtime_id, what="invocation header: runtime_id")
    check_name(header.function, what="invocation header: function")
    if header.response_topic is not None:
        check_topic(header.response_topic, what="invocation header: response_topic")
    if not 0 <= header.verified_below <= header.sequence:
        raise ProtocolError("invocation header", "verified_below lies outside 0 to sequence")
    if not 0 <= header.expires_at <= MAX_TIME_MS:
        raise ProtocolError("invocation header", "expires_at is not a time")
    return header


def join_result(parts: ResultParts) -> bytes:
    """Return a result message."""
    return encode((parts.header, parts.ciphertext, parts.attestation))


def split_result(message: bytes) -> ResultParts:
    """Return the three parts of a result message.

    Raises:
        ProtocolError: it is not an array of header, ciphertext, and attestation or nil.
    """
    header, ciphertext, attestation = decode(
        message, tuple[bytes, bytes, bytes | None], what="result", max_size=MAX_RESULT, max_depth=1
    )
    return ResultParts(header=header, ciphertext=ciphertext, attestation=attestation)


def decode_result_header(data: bytes) -> ResultHeader:
    """Return the header that the bytes encode.

    Raises:
        ProtocolError: it is not a result header of version 1.
    """
    header = decode(data, ResultHeader, what="result header", max_size=MAX_HEADER, max_depth=1)
    _check_ids("result header", v=header.v, ids=(header.key_id, header.session_id), sequence=header.sequence)
    if len(header.salt) != _SALT_SIZE:
        raise ProtocolError("result header", f"a salt has {_SALT_SIZE} bytes")
    return header


def _check_ids(what: str, *, v: int, ids: tuple[bytes, ...], sequence: int) -> None:
    if v != 1:
        raise ProtocolError(what, "its version is not 1")
    if any(len(identifier) != _ID_SIZE for identifier in ids):
        raise ProtocolError(what, f"an id has {_ID_SIZE} bytes")
    if not 0 <= sequence <= MAX_SEQUENCE:
        raise ProtocolError(what, "a sequence lies between 0 and 2**63 - 1")
