"""ECDSA on P-256 with SHA-256, as quotes and collateral carry it: r and s in 32 bytes each, big-endian."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from enclaved.verifier.checks import Checks

__all__ = ["check_signature", "public_key"]

_SIZE = 64


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
        signature: r and s.
        signed: the bytes.
        step: the step's name in the record.
        checks: the record.

    Raises:
        EvidenceError: it did not; the code is ``"not_authentic"``.
    """
    wanted = "one that verifies: ECDSA on P-256 with SHA-256"
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise checks.not_authentic(step, found="a key of another kind", wanted=wanted)
    r, s = (int.from_bytes(signature[at : at + _SIZE // 2], "big") for at in (0, _SIZE // 2))
    try:
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise checks.not_authentic(step, found="one that does not verify", wanted=wanted) from error
    checks.authentic(step, found="one that verifies", wanted=wanted, ok=len(signature) == _SIZE)
