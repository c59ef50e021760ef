"""An invocation's sealed half: what the function gets, and under which id.

One (session, sequence) is sealed once. Header and ciphertext are kept and sent
again byte for byte; whatever must change takes a new sequence. Otherwise a forged
hint could make a caller use a nonce twice, and the host would learn the
authentication key (NIST SP 800-38D, section 8).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from enclaved.errors import ProtocolError
from enclaved.wire.codec import decode, encode
from enclaved.wire.envelope import MIN_REQUEST, encode_padded, open_envelope, seal_envelope, sequence_nonce
from enclaved.wire.header import InvocationHeader
from enclaved.wire.limits import MAX_INVOCATION, MAX_PAYLOAD
from enclaved.wire.lp import sha256
from enclaved.wire.session import SessionKeys
from enclaved.wire.text import check_content_type

__all__ = [
    "INVOCATION_ID_SIZE",
    "InvocationBody",
    "SealedInvocation",
    "open_invocation",
    "request_digest",
    "seal_invocation",
]

INVOCATION_ID_SIZE = 16
_REQUEST_LABEL = b"enclaved/1 invocation"


class InvocationBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What only the enclave reads.

    Attributes:
        invocation_id: 16 random bytes; they survive a new sealing, so that callers and
            recipients can drop repeats by them.
        content_type: of the payload; empty where the caller says nothing.
        payload: the function's input, at most 1 MiB.
        padding: zeros up to the size's bucket.
    """

    invocation_id: bytes
    content_type: str
    payload: bytes
    padding: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedInvocation:
    """An invocation as it is sent, however often.

    Attributes:
        header: the header's bytes.
        ciphertext: the sealed body.
        digest: `request_digest` of both.
    """

    header: bytes
    ciphertext: bytes
    digest: bytes


def request_digest(header: bytes, ciphertext: bytes) -> bytes:
    """Return the 32 bytes that name exactly this sealing of a request; the result's key depends on them."""
    return sha256(_REQUEST_LABEL, header, ciphertext)


def seal_invocation(header: InvocationHeader, body: InvocationBody, *, keys: SessionKeys) -> SealedInvocation:
    """Seal an invocation, once for its session and sequence.

    Args:
        header: names the session of `keys`, and a sequence that was never sealed before.
        body: the input; `padding` is filled in here.
        keys: the session's.

    Returns:
        The sealed invocation.

    Raises:
        ProtocolError: the body is over its limits, or the header names another session, whose
            sequences say nothing about which nonces these keys have used.
    """
    _check_body(body)
    if header.session_id != keys.session_id:
        raise ProtocolError("invocation header", "it names another session than the keys'")
    header_bytes = encode(header)
    ciphertext = seal_envelope(
        encode_padded(body, least=MIN_REQUEST),
        key=keys.request_key,
        nonce=sequence_nonce(header.sequence),
        header=header_bytes,
    )
    digest = request_digest(header_bytes, ciphertext)
    return SealedInvocation(header=header_bytes, ciphertext=ciphertext, digest=digest)


def open_invocation(header: bytes, ciphertext: bytes, *, sequence: int, keys: SessionKeys) -> InvocationBody:
    """Open an invocation.

    Args:
        header: the header's bytes as received.
        ciphertext: the sealed body.
        sequence: the header's.
        keys: the session's that the header names.

    Returns:
        The body.

    Raises:
        ProtocolError: it does not open, or what opens is not a body.
    """
    opened = open_envelope(ciphertext, key=keys.request_key, nonce=sequence_nonce(sequence), header=header)
    body = decode(opened, InvocationBody, what="invocation body", max_size=MAX_INVOCATION, max_depth=1)
    _check_body(body)
    return body


def _check_body(body: InvocationBody) -> None:
    if len(body.invocation_id) != INVOCATION_ID_SIZE:
        raise ProtocolError("invocation body", f"an invocation id has {INVOCATION_ID_SIZE} bytes")
    if len(body.payload) > MAX_PAYLOAD:
        raise ProtocolError("invocation body", f"a payload of more than {MAX_PAYLOAD} bytes")
    check_content_type(body.content_type, what="invocation body")
