"""Reading certificates, and naming them by fingerprint (RFC 5280)."""

from __future__ import annotations

import base64
import hashlib
import warnings
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from enclaved.verifier.checks import Checks

__all__ = ["fingerprint", "fingerprint_text", "read_certificate", "read_pem_certificates"]

_PEM_BEGIN = b"-----BEGIN CERTIFICATE-----"
_PEM_END = b"-----END CERTIFICATE-----"
_MOST = 16  # certificates in one file; vendors' chains have two to five
_REMEMBERED = 64  # certificates; vendors' have some kilobytes, no file has more than 256


def read_certificate(der: bytes | None, name: str, checks: Checks) -> x509.Certificate:
    """Return the one certificate that a file holds in DER.

    Args:
        der: the file's bytes; None where there is no such file.
        name: the file's name, for the error.
        checks: the record.

    Returns:
        The certificate; it is not verified.

    Raises:
        EvidenceError: there is none, or it is not a certificate; the code is ``"unreadable"``.
    """
    if der is None:
        raise checks.unreadable(name, found="no such file", wanted="a certificate")
    try:
        certificate = _parse(der)
    except Exception as error:
        # The parser raises ValueError, UnsupportedAlgorithm, DuplicateExtension, InvalidVersion, TypeError and more.
        raise checks.unreadable(name, found="bytes that do not parse", wanted="a certificate in DER") from error
    if certificate.public_bytes(Encoding.DER) != der:
        raise checks.unreadable(name, found="trailing bytes", wanted="one certificate in DER")
    return certificate


def read_pem_certificates(pem: bytes | None, name: str, checks: Checks) -> list[x509.Certificate]:
    """Return the certificates that a file holds in PEM (RFC 7468), in the file's order.

    Args:
        pem: the file's bytes; None where there is no such file.
        name: the file's name, for the error.
        checks: the record.

    Returns:
        At least one certificate; none is verified.

    Raises:
        EvidenceError: there is none, or one does not parse; the code is ``"unreadable"``.
    """
    blocks = [block.split(_PEM_END)[0] for block in (pem or b"").split(_PEM_BEGIN)[1:]]
    if not 0 < len(blocks) <= _MOST:
        raise checks.unreadable(name, found=f"{len(blocks)} certificates", wanted=f"1 to {_MOST} certificates in PEM")
    return [read_certificate(_from_base64(block), name, checks) for block in blocks]


def fingerprint(certificate: x509.Certificate) -> bytes:
    """Return the SHA-256 of a certificate's DER encoding, by which roots are pinned."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


def fingerprint_text(certificate: x509.Certificate) -> str:
    """Return a certificate's fingerprint as policies write it: ``sha256:`` and 64 hex digits."""
    return f"sha256:{fingerprint(certificate).hex()}"


def _from_base64(block: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(block.split()), validate=True)
    except ValueError:
        return b""  # not a certificate either, and that is what the reader then says


@lru_cache(maxsize=_REMEMBERED)
def _parse(der: bytes) -> x509.Certificate:
    """Parse a certificate; vendors' issuers come along every time, so they are remembered by their bytes."""
    with warnings.catch_warnings(action="ignore"):  # AMD's serial numbers are 0, which RFC 5280 forbids
        certificate = x509.load_der_x509_certificate(der)
        # Parsed lazily: what is wrong in them has to show here, and not where they are first looked at.
        _ = certificate.extensions, certificate.public_key(), certificate.subject, certificate.issuer
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return certificate
