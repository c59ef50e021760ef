"""An event's output, sealed to the recipients that the function's manifest names.

One fresh key seals the body; each recipient gets that key sealed to its own. Anyone
can seal to a public key, so what makes an output genuine is the receipt inside: it
carries its attestation, and commits to the very output.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from enclaved.clock import RandomBytes
from enclaved.errors import ProtocolError
from enclaved.wire import hpke
from enclaved.wire.codec import decode, encode
from enclaved.wire.envelope import MIN_ANSWER, NONCE_ZERO, encode_padded, open_envelope, seal_envelope
from enclaved.wire.limits import MAX_HEADER, MAX_RECIPIENTS, MAX_RESULT, MAX_SEALED_OUTPUT
from enclaved.wire.lp import length_prefixed
from enclaved.wire.result import CODES, Status, check_output
from enclaved.wire.topics import check_name

__all__ = ["OutputBody", "OutputHeader", "RecipientKey", "key_fingerprint", "open_output", "seal_output"]

_LABEL = b"enclaved/1 output"
_KEY_SIZE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientKey:
    """A recipient's public key.

    Attributes:
        suite: the HPKE suite's name.
        public_key: 1216 or 32 bytes.
    """

    suite: str
    public_key: bytes


class OutputHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of a sealed output that the host can read.

    Attributes:
        v: 1.
        runtime_id: who ran it.
        key_id: the bundle, 16 bytes.
        function: the function's name.
    """

    v: int
    runtime_id: str
    key_id: bytes
    function: str


class OutputBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What only the recipients read.

    Attributes:
        status: ``"ok"`` or ``"failed"``.
        code: one of the status's codes.
        invocation_id: the event's; recipients drop repeats by it.
        content_type: of the output.
        output: the function's output, or its own error text.
        log: what it printed.
        receipt: with its attestation inside.
        result_salt: opens the receipt's commitment to the output, 32 bytes.
        producer: fingerprint of the producer's key, 16 bytes, or None for an anonymous one.
        padding: zeros up to the size's bucket.
    """

    status: Status
    code: str
    invocation_id: bytes
    content_type: str
    output: bytes
    log: bytes
    receipt: bytes
    result_salt: bytes
    producer: bytes | None
    padding: bytes = b""


class _SealedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    suite: str
    recipient: bytes
    sealed: bytes


def key_fingerprint(public_key: bytes) -> bytes:
    """Return the 16 bytes by which a public key is named: SHA-256, cut."""
    return hashlib.sha256(public_key).digest()[:16]


def seal_output(
    body: OutputBody, *, header: OutputHeader, recipients: tuple[RecipientKey, ...], random: RandomBytes
) -> bytes:
    """Seal an output to its recipients.

    Args:
        body: the output; `padding` is filled in here.
        header: what the host may know.
        recipients: 1 to 16 public keys.
        random: makes the body's key.

    Returns:
        The message.

    Raises:
        ProtocolError: no or too many recipients, or a recipient's key is not one of its suite.
    """
    if not 1 <= len(recipients) <= MAX_RECIPIENTS:
        raise ProtocolError("sealed output", f"it has 1 to {MAX_RECIPIENTS} recipients")
    header_bytes = encode(header)
    key = random(_KEY_SIZE)
    sealed_keys = [
        _SealedKey(
            suite=recipient.suite,
            recipient=key_fingerprint(recipient.public_key),
            sealed=hpke.seal(
                key,
                suite=recipient.suite,
                public_key=recipient.public_key,
                info=_info(recipient.suite, header_bytes),
            ),
        )
        for recipient in recipients
    ]
    ciphertext = seal_envelope(encode_padded(body, least=MIN_ANSWER), key=key, nonce=NONCE_ZERO, header=header_bytes)
    return encode((header_bytes, sealed_keys, ciphertext))


def open_output(message: bytes, *, key: hpke.PrivateKey) -> tuple[OutputHeader, OutputBody]:
    """Open an output as one of its recipients; its receipt is still unverified.

    Args:
        message: untrusted bytes.
        key: the recipient's private key.

    Returns:
        Header and body.

    Raises:
        ProtocolError: it is not a sealed output, not for this key, or does not open.
    """
    header_bytes, sealed_keys, ciphertext = decode(
        message, tuple[bytes, tuple[_SealedKey, ...], bytes], what="sealed output", max_size=MAX_SEALED_OUTPUT
    )
    if len(sealed_keys) > MAX_RECIPIENTS:
        raise ProtocolError("sealed output", f"more than {MAX_RECIPIENTS} recipients")
    header = decode(header_bytes, OutputHeader, what="output header", max_size=MAX_HEADER, max_depth=1)
    check_name(header.runtime_id, what="output header: runtime_id")
    check_name(header.function, what="output header: function")
    if header.v != 1 or len(header.key_id) != 16:
        raise ProtocolError("output header", "not of version 1")
    name = key_fingerprint(key.public_key)
    ours = next((each for each in sealed_keys if each.recipient == name and each.suite == key.suite), None)
    if ours is None:
        raise ProtocolError("sealed output", "not sealed to this key")
    body_key = hpke.open_sealed(ours.sealed, key=key, info=_info(ours.suite, header_bytes))
    opened = open_envelope(ciphertext, key=body_key, nonce=NONCE_ZERO, header=header_bytes)
    return header, _decode_body(opened)


def _decode_body(opened: bytes) -> OutputBody:
    body = decode(opened, OutputBody, what="output body", max_size=MAX_RESULT, max_depth=1)
    if body.status == "refused" or body.code not in CODES[body.status]:
        raise ProtocolError("output body", "a code that does not belong to its status")
    check_output(
        "output body",
        invocation_id=body.invocation_id,
        content_type=body.content_type,
        output=body.output,
        log=body.log,
    )
    if len(body.result_salt) != 32 or (body.producer is not None and len(body.producer) != 16):
        raise ProtocolError("output body", "a salt has 32 bytes, a producer's fingerprint 16")
    return body


def _info(suite: str, header: bytes) -> bytes:
    return length_prefixed(_LABEL, suite.encode(), header)
