"""COSE_Sign1 with EdDSA (RFC 9052, section 4.2; RFC 9053, section 2.2): the one file that knows COSE.

What is signed is carried as the bytes that were signed. Only the deterministic
encoding is read, and only the one tag, as the very first byte.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from enclaved.errors import ProtocolError
from enclaved.wire.cbor import CborValue, decode_cbor, encode_cbor

__all__ = ["Sign1", "decode_sign1", "encode_sign1", "sign", "verify"]

_TAG_SIGN1 = b"\xd2"  # tag 18, in its one deterministic encoding
_CONTEXT = "Signature1"
_HEADER_ALG = 1
_HEADER_KID = 4
_HEADER_TYP = 16  # RFC 9596
_ALG_EDDSA = -8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign1:
    """One signed message, its protected bytes and payload exactly as they were signed.

    Attributes:
        protected: the protected header's bytes.
        unprotected: what rides along unsigned, by label.
        payload: the signed bytes.
        signature: 64 bytes.
        key_id: from the protected header.
        content_type: the protected ``typ``.
    """

    protected: bytes
    unprotected: dict[int | str, CborValue]
    payload: bytes
    signature: bytes
    key_id: bytes
    content_type: str


def sign(payload: bytes, *, key: Ed25519PrivateKey, key_id: bytes, content_type: str) -> Sign1:
    """Sign a payload.

    Args:
        payload: the bytes to sign.
        key: the receipt key.
        key_id: how a reader finds the public key.
        content_type: what the payload is.

    Returns:
        The message, with an empty unprotected header.
    """
    protected = encode_cbor({_HEADER_ALG: _ALG_EDDSA, _HEADER_KID: key_id, _HEADER_TYP: content_type})
    signature = key.sign(_to_be_signed(protected, payload))
    return Sign1(
        protected=protected,
        unprotected={},
        payload=payload,
        signature=signature,
        key_id=key_id,
        content_type=content_type,
    )


def verify(message: Sign1, *, public_key: bytes) -> None:
    """Verify a message's signature.

    Args:
        message: what was decoded.
        public_key: Ed25519, 32 bytes, from a verified bundle.

    Raises:
        ProtocolError: the signature is not of this key over these bytes.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(message.signature, _to_be_signed(message.protected, message.payload))
    except (InvalidSignature, ValueError) as error:
        raise ProtocolError("signature", "does not verify") from error


def encode_sign1(message: Sign1) -> bytes:
    """Return the tagged COSE_Sign1 bytes of a message."""
    return _TAG_SIGN1 + encode_cbor([message.protected, message.unprotected, message.payload, message.signature])


def decode_sign1(data: bytes, *, what: str, max_size: int) -> Sign1:
    """Return the signed message that the bytes encode; its signature is still unverified.

    Raises:
        ProtocolError: it is not a tagged COSE_Sign1 with EdDSA, a key id and a type.
    """
    if data[:1] != _TAG_SIGN1:
        raise ProtocolError(what, "not a COSE_Sign1 (tag 18)")
    match decode_cbor(data[1:], what=what, max_size=max_size):
        case [bytes() as protected, dict() as unprotected, bytes() as payload, bytes() as signature]:
            pass
        case _:
            raise ProtocolError(what, "not the four parts of a COSE_Sign1")
    header = decode_cbor(protected, what=f"{what}: protected header", max_size=max_size)
    match header:
        case {1: -8, 4: bytes() as key_id, 16: str() as content_type, **rest} if not rest:
            pass
        case _:
            raise ProtocolError(what, "its protected header is not algorithm EdDSA, key id and type alone")
    return Sign1(
        protected=protected,
        unprotected=unprotected,
        payload=payload,
        signature=signature,
        key_id=key_id,
        content_type=content_type,
    )


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """Return the Sig_structure (RFC 9052, section 4.4) with empty external data."""
    return encode_cbor([_CONTEXT, protected, b"", payload])
