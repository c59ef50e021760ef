"""The attestation key: which keys may sign quotes, and the fingerprint that names one.

A TPM's key is pinned by the SHA-256 of its SubjectPublicKeyInfo in DER, which
``openssl pkey -pubin -outform DER | sha256sum`` prints as well.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from enclaved.verifier.checks import Checks

__all__ = ["AttestationKey", "PublicKey", "check_kind", "read_key"]

PublicKey: TypeAlias = "rsa.RSAPublicKey | ec.EllipticCurvePublicKey"

_LEAST_RSA, _MOST_RSA = 2048, 4096
_CURVES = (ec.SECP256R1, ec.SECP384R1)
_WANTED = f"RSA of {_LEAST_RSA} to {_MOST_RSA} bits, or ECDSA on P-256 or P-384"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationKey:
    """The public half of a TPM's attestation key.

    Attributes:
        public_key: the key.
        fingerprint: ``sha256:`` and the SHA-256 of its SubjectPublicKeyInfo in hex.
    """

    public_key: PublicKey
    fingerprint: str


def read_key(pem: bytes | None, name: str, checks: Checks) -> AttestationKey:
    """Return the public key that a file holds in PEM.

    Args:
        pem: the file's bytes; None where there is no such file.
        name: the file's name, for the error.
        checks: the record.

    Raises:
        EvidenceError: there is none or it does not parse (``"unreadable"``), or it is of a kind that
            signs no quotes here (``"unsupported"``).
    """
    if pem is None:
        raise checks.unreadable(name, found="no such file", wanted="a public key")
    try:
        public_key = load_pem_public_key(pem)
    except Exception as error:
        # The parser raises ValueError, UnsupportedAlgorithm, TypeError and, for odd keys, more.
        raise checks.unreadable(name, found="bytes that do not parse", wanted="a public key in PEM") from error
    return check_kind(public_key, name, checks)


def check_kind(public_key: object, name: str, checks: Checks) -> AttestationKey:
    """Check that a key is of a kind that signs quotes, and is strong.

    Args:
        public_key: a key of any kind.
        name: where it comes from, for the error.
        checks: the record.

    Raises:
        EvidenceError: it is of another kind (``"unsupported"``).
    """
    match public_key:
        case rsa.RSAPublicKey() if _LEAST_RSA <= public_key.key_size <= _MOST_RSA:
            found = f"RSA of {public_key.key_size} bits"
        case ec.EllipticCurvePublicKey() if isinstance(public_key.curve, _CURVES):
            found = f"ECDSA on {public_key.curve.name}"
        case _:
            raise checks.unsupported(name, found=type(public_key).__name__, wanted=_WANTED)
    checks.authentic(name, found=found, wanted=_WANTED, ok=True)
    encoded = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return AttestationKey(public_key=public_key, fingerprint=f"sha256:{hashlib.sha256(encoded).hexdigest()}")
