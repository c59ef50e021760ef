"""Hints: what an enclave or a gateway says in clear when it cannot seal an answer.

Anyone can forge one, so a hint never changes what a caller accepts. It may make
the caller verify afresh and try again, a bounded number of times.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from enclaved.errors import ProtocolError
from enclaved.wire.codec import decode, encode
from enclaved.wire.limits import MAX_HINT, MAX_SEQUENCE

__all__ = ["Hint", "HintCode", "decode_hint", "encode_hint", "is_hint"]

HintCode = Literal["key_unknown", "session_unknown", "malformed"]


class Hint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An unauthenticated word about one invocation.

    Attributes:
        v: 1.
        hint: ``"key_unknown"``, ``"session_unknown"`` or ``"malformed"``.
        session_id: the invocation's, 16 bytes, or None where its header could not be read.
        sequence: the invocation's, or None.
    """

    v: int
    hint: HintCode
    session_id: bytes | None
    sequence: int | None


def is_hint(message: bytes) -> bool:
    """Tell a hint (a map) from a result (an array) by its first byte."""
    return message[:1] != b"" and 0x80 <= message[0] <= 0x8F


def encode_hint(hint: Hint) -> bytes:
    """Return a hint's bytes."""
    return encode(hint)


def decode_hint(data: bytes) -> Hint:
    """Return the hint that the bytes encode.

    Raises:
        ProtocolError: it is not a hint of version 1.
    """
    hint = decode(data, Hint, what="hint", max_size=MAX_HINT, max_depth=1)
    if hint.v != 1:
        raise ProtocolError("hint", "its version is not 1")
    if hint.session_id is not None and len(hint.session_id) != 16:
        raise ProtocolError("hint", "a session id has 16 bytes")
    if hint.sequence is not None and not 0 <= hint.sequence <= MAX_SEQUENCE:
        raise ProtocolError("hint", "a sequence lies between 0 and 2**63 - 1")
    return hint
