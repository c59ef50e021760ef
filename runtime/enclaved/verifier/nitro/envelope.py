"""The COSE_Sign1 message that carries a Nitro document (RFC 9052, section 4.2).

AWS, "Nitro Enclaves Attestation Process", section 3.1: protected header
``{1: -35}``, nothing unprotected, 1 to 16384 bytes of payload, and an ECDSA
signature on P-384, R and S joined.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from enclaved.verifier.checks import Checks
from enclaved.verifier.nitro.cbor import CborError, CborValue, read_cbor
from enclaved.wire.cbor import encode_cbor

__all__ = ["Envelope", "check_algorithm", "check_signature", "read_envelope"]

_TAG_SIGN1 = b"\xd2"  # tag 18; the security module leaves it out, and AWS allows for it
_ALG, _ES384 = 1, -35  # RFC 9053, section 2.1
_MAX_PAYLOAD = 16384
_NUMBER_SIZE = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A signed message, not yet verified.

    Attributes:
        protected: the protected header's bytes.
        header: the same, read.
        payload: the signed document's bytes.
        signature: R and S, 48 bytes each.
    """

    protected: bytes
    header: dict[int | str, CborValue]
    payload: bytes
    signature: bytes


def read_envelope(data: bytes, checks: Checks) -> Envelope:
    """Return the signed message that the bytes hold.

    Args:
        data: the file's bytes, their size already checked.
        checks: the record.

    Raises:
        EvidenceError: they hold none; the code is ``"unreadable"``.
    """
    try:
        message = read_cbor(data.removeprefix(_TAG_SIGN1))
    except CborError as error:
        raise checks.unreadable("envelope", found=str(error), wanted="COSE_Sign1") from error
    match message:
        case [bytes() as protected, dict() as unprotected, bytes() as payload, bytes() as signature]:
            pass
        case _:
            raise checks.unreadable("envelope", found="another value", wanted="COSE_Sign1, an array of four")
    if unprotected:
        raise checks.unreadable("envelope", found="an unprotected header", wanted="none: nobody signs it")
    if not 0 < len(payload) <= _MAX_PAYLOAD:
        raise checks.unreadable("payload", found=f"{len(payload)} bytes", wanted=f"1 to {_MAX_PAYLOAD} bytes")
    if len(signature) != 2 * _NUMBER_SIZE:
        raise checks.unreadable("signature", found=f"{len(signature)} bytes", wanted=f"{2 * _NUMBER_SIZE} bytes")
    return Envelope(protected=protected, header=_header(protected, checks), payload=payload, signature=signature)


def check_algorithm(envelope: Envelope, checks: Checks) -> None:
    """Check that the signature is of the one algorithm, and that the header says nothing else.

    Args:
        envelope: the message.
        checks: the record.

    Raises:
        EvidenceError: it is of another; the code is ``"unsupported"``.
    """
    # Compared with its key alone: a critical header (RFC 9052, section 3.1) must not be passed over.
    if envelope.header != {_ALG: _ES384}:
        raise checks.unsupported("algorithm", found=envelope.header, wanted="ES384 and no other header")
    checks.authentic("algorithm", found="ES384", wanted="ES384 and no other header", ok=True)


def check_signature(envelope: Envelope, leaf: x509.Certificate, checks: Checks) -> None:
    """Check that the key signed the bytes that were received.

    Args:
        envelope: the message.
        leaf: the document's certificate, already vouched for.
        checks: the record.

    Raises:
        EvidenceError: it did not.
    """
    signed = encode_cbor(["Signature1", envelope.protected, b"", envelope.payload])  # RFC 9052, section 4.4
    r, s = envelope.signature[:_NUMBER_SIZE], envelope.signature[_NUMBER_SIZE:]
    der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    wanted = "one that verifies with the document's certificate"
    public_key = leaf.public_key()
    try:
        if not isinstance(public_key, ec.EllipticCurvePublicKey):
            raise checks.not_authentic("signature", found="a key of another kind", wanted=wanted)
        public_key.verify(der, signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature as error:
        raise checks.not_authentic("signature", found="one that does not verify", wanted=wanted) from error
    checks.authentic("signature", found="one that verifies", wanted=wanted, ok=True)


def _header(protected: bytes, checks: Checks) -> dict[int | str, CborValue]:
    try:
        header = read_cbor(protected)
    except CborError as error:
        raise checks.unreadable("protected header", found=str(error), wanted="a map") from error
    if not isinstance(header, dict):
        raise checks.unreadable("protected header", found="another value", wanted="a map")
    return header
