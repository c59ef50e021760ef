"""Sealing with a shared key: AES-256-GCM, key derivation, and padding.

A nonce is never chosen here: an invocation's is its sequence, of which each is
sealed once; a result's and an output's is zero, under a key that is used once.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from enclaved.errors import ProtocolError
from enclaved.wire.codec import encode
from enclaved.wire.lp import length_prefixed

__all__ = [
    "MIN_ANSWER",
    "MIN_REQUEST",
    "NONCE_ZERO",
    "derive",
    "encode_padded",
    "open_envelope",
    "padded_size",
    "seal_envelope",
    "sequence_nonce",
]

NONCE_ZERO = bytes(12)
MIN_REQUEST = 256
MIN_ANSWER = 1024
"""The smallest bucket of what an enclave seals: with a receipt inside, smaller ones would tell success from failure."""

_BIN32 = b"\xc6"
_EMPTY_BIN = b"\xc4\x00"
_PADDING_HEADER = 5


def derive(secret: bytes, *, salt: bytes, info: tuple[bytes, ...]) -> bytes:
    """Return 32 bytes of HKDF-SHA256 (RFC 5869).

    Args:
        secret: the input keying material.
        salt: the salt.
        info: a domain label, then what the key is for; each length-prefixed.
    """
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=length_prefixed(*info)).derive(secret)


def sequence_nonce(sequence: int) -> bytes:
    """Return a sequence as a 12-byte big-endian nonce."""
    return sequence.to_bytes(12, "big")


def seal_envelope(plaintext: bytes, *, key: bytes, nonce: bytes, header: bytes) -> bytes:
    """Return AES-256-GCM over a plaintext, with the header authenticated: ciphertext ‖ 16-byte tag."""
    return AESGCM(key).encrypt(nonce, plaintext, header)


def open_envelope(ciphertext: bytes, *, key: bytes, nonce: bytes, header: bytes) -> bytes:
    """Return the plaintext.

    Raises:
        ProtocolError: header, ciphertext, nonce or key is another than was sealed; which is not told.
    """
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, header)
    except (InvalidTag, ValueError) as error:
        raise ProtocolError("envelope", "does not open") from error


def padded_size(size: int, *, least: int) -> int:
    """Return the size to which a message is padded: Padmé, with a smallest bucket.

    Padmé (Nikitin et al., PoPETs 2019(4), section 4) keeps of a length only its
    magnitude and as many leading bits as the magnitude has, so that it leaks
    O(log log) bits and adds at most 12 %.

    Args:
        size: bytes before padding.
        least: the smallest bucket, `MIN_REQUEST` or `MIN_ANSWER`.
    """
    if size <= least:
        return least
    exponent = size.bit_length() - 1
    low_bits = exponent - exponent.bit_length()
    mask = (1 << low_bits) - 1
    return (size + mask) & ~mask


def encode_padded(body: object, *, least: int) -> bytes:
    """Return the MessagePack of a body whose last field is an empty ``padding``, padded to its bucket.

    The padding is zeros in a bin 32, whatever its length: with MessagePack's shorter
    forms some sizes could not be reached.

    Args:
        body: a struct whose last field is ``padding = b""``.
        least: the smallest bucket, `MIN_REQUEST` or `MIN_ANSWER`.

    Returns:
        `padded_size` bytes.
    """
    encoded = encode(body)
    bare = encoded.removesuffix(_EMPTY_BIN)
    length = padded_size(len(bare) + _PADDING_HEADER, least=least) - len(bare) - _PADDING_HEADER
    return b"".join((bare, _BIN32, length.to_bytes(4, "big"), bytes(length)))
