"""ECDSA on P-256 with SHA-256, as quotes and collateral carry it: r and s in 32 bytes each, big-endian."""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from enclaved.verifier.checks import Checks

__all__ = ["check_document_signature", "check_signature", "public_key"]

_WANTED = "one that verifies: ECDSA on P-256 with SHA-256"
_HALF = 32
_REMEMBERED = 64  # signatures; collateral is some kilobytes


def public_key(point: bytes, step: str, checks: Checks) -> ec.EllipticCurvePublicKey:
    """Return the key whose coordinates are given, x and y, 64 bytes.

    Raises:
        EvidenceError: that is no point of the curve; the code is ``"not_authentic"``.
    """
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
    except ValueError as error:
        raise checks.not_authentic(step, found="no point", wanted="a point on P-256") from error


def check_signature(key: object, signature: bytes, signed: bytes, *, step: str, checks: Checks) -> None:
    """Check that a key signed some bytes.

    Args:
        key: the key, vouched for elsewhere; one that is not on P-256 signed nothing.
        signature: r and s, 64 bytes.
        signed: the bytes.
        step: the step's name in the record.
        checks: the record.

    Raises:
        EvidenceError: it did not; the code is ``"not_authentic"``.
    """
    try:
        _verify(key, signature, signed)
    except InvalidSignature as error:
        raise checks.not_authentic(step, found="one that does not verify", wanted=_WANTED) from error
    checks.authentic(step, found="one that verifies", wanted=_WANTED, ok=True)


def check_document_signature(
    signer: x509.Certificate, signature: bytes, signed: bytes, *, step: str, checks: Checks
) -> None:
    """Check that a certificate's key signed a document that many verifications share.

    Whether it did is a matter of the bytes alone, so a signature that verified once
    is remembered; one that does not verify raises, and never is.

    Args:
        signer: the certificate, vouched for elsewhere.
        signature: r and s, 64 bytes.
        signed: the document's bytes.
        step: the step's name in the record.
        checks: the record.

    Raises:
        EvidenceError: it did not; the code is ``"not_authentic"``.
    """
    try:
        _verify_remembered(signer, signature, signed)
    except InvalidSignature as error:
        raise checks.not_authentic(step, found="one that does not verify", wanted=_WANTED) from error
    checks.authentic(step, found="one that verifies", wanted=_WANTED, ok=True)


@lru_cache(maxsize=_REMEMBERED)
def _verify_remembered(signer: x509.Certificate, signature: bytes, signed: bytes) -> None:
    _verify(signer.public_key(), signature, signed)


def _verify(key: object, signature: bytes, signed: bytes) -> None:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidSignature("a key of another kind")
    r, s = int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big")
    key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
