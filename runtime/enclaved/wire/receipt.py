"""The receipt: a signed statement of what ran on what, that shows none of the data.

A COSE_Sign1 over a CWT claims set (RFC 8392) with EAT claims (RFC 9711). Input and
output stand in it as salted commitments; the salts travel only in the sealed
result. So the caller can show the receipt to anybody, and can prove to whom it
chooses, by showing a salt, that a given text is what was processed.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from enclaved.errors import ProtocolError
from enclaved.wire import cose
from enclaved.wire.attestation import evidence_digest
from enclaved.wire.cbor import CborValue, decode_cbor, encode_cbor
from enclaved.wire.cose import Sign1
from enclaved.wire.limits import MAX_ATTESTATION, MAX_RECEIPT, MAX_SEQUENCE, MAX_TIME_MS
from enclaved.wire.lp import sha256
from enclaved.wire.result import CODES
from enclaved.wire.text import check_text
from enclaved.wire.topics import check_name

__all__ = [
    "PROFILE",
    "Receipt",
    "ReceiptClaims",
    "attach_attestation",
    "decode_receipt",
    "output_commitment",
    "request_commitment",
    "sign_receipt",
    "verify_receipt",
]

PROFILE = "urn:uuid:6d0f3c0e-8f0a-4b5e-9d3a-5a2c4be1d7f1"
"""The EAT profile (RFC 9711, section 6) of receipts, version 1: a name, not an address."""

_CONTENT_TYPE = "application/eat+cwt"
_ATTESTATION_LABEL = -70100  # private use (RFC 9052, section 11.2)
_REQUEST_LABEL = b"enclaved/1 request commitment"
_OUTPUT_LABEL = b"enclaved/1 output commitment"

# Claim keys: registered ones of CWT and EAT, then private ones (below -65536).
_KEYS: dict[str, int] = {
    "runtime_id": 1,  # iss
    "host_time": 6,  # iat, Unix seconds
    "invocation_id": 7,  # cti
    "profile": 265,  # eat_profile
    "function": -70001,
    "function_digest": -70002,
    "request_commitment": -70003,
    "output_commitment": -70004,
    "bundle_digest": -70005,
    "evidence_digest": -70006,
    "engine": -70007,
    "isolation": -70008,
    "duration_us": -70009,
    "outcome": -70010,
    "sequence": -70011,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptClaims:
    """What a receipt states.

    Attributes:
        runtime_id: the runtime.
        host_time: when it was signed, Unix seconds, by the host's clock.
        invocation_id: 16 bytes.
        profile: `PROFILE`.
        function: the function's name.
        function_digest: ``h1:`` digest of its folder.
        request_commitment: 32 bytes.
        output_commitment: 32 bytes.
        bundle_digest: 32 bytes; the receipt's key is in that bundle.
        evidence_digest: 32 bytes; the attestation that spoke for the bundle.
        engine: the engine that ran it.
        isolation: the level that its sandbox reached.
        duration_us: how long it ran, microseconds.
        outcome: ``"ok"`` or a failure's code.
        sequence: the invocation's number in its session.
    """

    runtime_id: str
    host_time: int
    invocation_id: bytes
    profile: str
    function: str
    function_digest: str
    request_commitment: bytes
    output_commitment: bytes
    bundle_digest: bytes
    evidence_digest: bytes
    engine: str
    isolation: str
    duration_us: int
    outcome: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A decoded receipt, its signature still unverified.

    Attributes:
        claims: what it states.
        attestation: the attestation that rides along, or None.
        message: the signed message.
    """

    claims: ReceiptClaims
    attestation: bytes | None
    message: Sign1


_SIZES = {
    "invocation_id": 16,
    "request_commitment": 32,
    "output_commitment": 32,
    "bundle_digest": 32,
    "evidence_digest": 32,
}
_TEXTS = ("runtime_id", "profile", "function", "function_digest", "engine", "isolation", "outcome")
_NUMBERS = {"host_time": MAX_TIME_MS // 1000, "duration_us": MAX_SEQUENCE, "sequence": MAX_SEQUENCE}
_OUTCOMES = CODES["ok"] | CODES["failed"]


def request_commitment(salt: bytes, content_type: str, payload: bytes) -> bytes:
    """Return the commitment to a request, 32 bytes."""
    return sha256(_REQUEST_LABEL, salt, content_type.encode(), payload)


def output_commitment(salt: bytes, content_type: str, output: bytes) -> bytes:
    """Return the commitment to an output, 32 bytes."""
    return sha256(_OUTPUT_LABEL, salt, content_type.encode(), output)


def sign_receipt(claims: ReceiptClaims, *, key: Ed25519PrivateKey) -> bytes:
    """Return a signed receipt without an attestation.

    Args:
        claims: what to state.
        key: the bundle's receipt key.
    """
    payload: dict[int | str, CborValue] = {_KEYS[name]: value for name, value in dataclasses.asdict(claims).items()}
    message = cose.sign(encode_cbor(payload), key=key, key_id=claims.bundle_digest[:16], content_type=_CONTENT_TYPE)
    return cose.encode_sign1(message)


def attach_attestation(receipt: bytes, attestation: bytes) -> bytes:
    """Return the receipt as one self-contained file: its attestation in the unprotected header.

    Raises:
        ProtocolError: it is not a receipt, or it names another attestation.
    """
    decoded = decode_receipt(receipt)
    _check_attestation(decoded.claims, attestation)
    message = decoded.message
    return cose.encode_sign1(dataclasses.replace(message, unprotected={_ATTESTATION_LABEL: attestation}))


def decode_receipt(data: bytes) -> Receipt:
    """Return the receipt that the bytes encode; its signature is still unverified.

    Args:
        data: untrusted bytes.

    Raises:
        ProtocolError: it is not a receipt of this profile.
    """
    message = cose.decode_sign1(data, what="receipt", max_size=MAX_RECEIPT + MAX_ATTESTATION)
    if message.content_type != _CONTENT_TYPE or len(message.payload) > MAX_RECEIPT:
        raise ProtocolError("receipt", "its type or its size is not a receipt's")
    attestation = message.unprotected.get(_ATTESTATION_LABEL)
    if set(message.unprotected) - {_ATTESTATION_LABEL} or not isinstance(attestation, bytes | None):
        raise ProtocolError("receipt", "its unprotected header holds more than an attestation")
    claims = _claims(message.payload)
    if claims.profile != PROFILE or message.key_id != claims.bundle_digest[:16]:
        raise ProtocolError("receipt", "its profile or its key id is not a receipt's of version 1")
    if attestation is not None:
        _check_attestation(claims, attestation)
    return Receipt(claims=claims, attestation=attestation, message=message)


def verify_receipt(receipt: Receipt, *, public_key: bytes, bundle_digest: bytes) -> None:
    """Verify that a verified bundle's receipt key signed a receipt.

    Args:
        receipt: what was decoded.
        public_key: the bundle's `receipt_public_key`.
        bundle_digest: the digest of that bundle.

    Raises:
        ProtocolError: it names another bundle, or the signature is not of this key.
    """
    if receipt.claims.bundle_digest != bundle_digest:
        raise ProtocolError("receipt", "it names another key bundle")
    cose.verify(receipt.message, public_key=public_key)


def _check_attestation(claims: ReceiptClaims, attestation: bytes) -> None:
    if evidence_digest(attestation) != claims.evidence_digest:
        raise ProtocolError("receipt", "it names another attestation than the one beside it")


def _claims(payload: bytes) -> ReceiptClaims:
    value = decode_cbor(payload, what="receipt claims", max_size=MAX_RECEIPT)
    if not isinstance(value, dict) or set(value) != set(_KEYS.values()):
        raise ProtocolError("receipt claims", "not exactly the claims of a receipt")
    texts: dict[str, str] = {}
    numbers: dict[str, int] = {}
    digests: dict[str, bytes] = {}
    for name, key in _KEYS.items():
        match value[key]:
            case str() as text if name in _TEXTS:
                texts[name] = text
            case bool():
                raise ProtocolError("receipt claims", f"{name} is a truth value")
            case int() as number if 0 <= number <= _NUMBERS.get(name, -1):
                numbers[name] = number
            case bytes() as digest if len(digest) == _SIZES.get(name):
                digests[name] = digest
            case _:
                raise ProtocolError("receipt claims", f"{name} has another type or size")
    _check_texts(texts)
    return ReceiptClaims(**texts, **numbers, **digests)  # type: ignore[arg-type]  # the table above gave each its type


def _check_texts(texts: dict[str, str]) -> None:
    """Refuse what could not have been said: people read these claims, on terminals and pages."""
    check_name(texts["runtime_id"], what="receipt claims: runtime_id")
    check_name(texts["function"], what="receipt claims: function")
    for name in ("profile", "function_digest", "engine", "isolation"):
        check_text(texts[name], what=f"receipt claims: {name}")
    if texts["outcome"] not in _OUTCOMES:
        raise ProtocolError("receipt claims", "an outcome that is none")
