"""Intel's certificate revocation lists (RFC 5280, sections 5 and 6.3).

The root signs the list of revoked authorities and of revoked keys that sign
collateral; each PCK authority signs the list of its revoked platforms. Whether
both are demanded is the policy's; here it is found out what those that came
along say, and

- a list that is not of its issuer in this chain, or not signed by it, is a forgery;
- a list that revokes a certificate refuses it, however old the list is;
- a list past its next update, or not yet in force, is not used to show that nothing is revoked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from enclaved.verifier.checks import Checks

__all__ = ["PCK_CRL_FILE", "ROOT_CRL_FILE", "Revocation", "check_revocation"]

ROOT_CRL_FILE = "root_ca_crl.der"
PCK_CRL_FILE = "pck_crl.der"
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class Revocation(StrEnum):
    """What the lists that came along show."""

    CURRENT = "current"
    """Both lists were in force, and revoke nothing of the chains."""
    STALE = "stale"
    """Both were there, and one was not in force."""
    ABSENT = "absent"
    """One was not there."""


def check_revocation(
    endorsements: Mapping[str, bytes],
    certificates: Sequence[x509.Certificate],
    *,
    root: x509.Certificate,
    authority: x509.Certificate,
    at: datetime,
    checks: Checks,
) -> Revocation:
    """Check that no list that came along revokes a certificate.

    Args:
        endorsements: the files beside the quote.
        certificates: all that the verdict rests on, already verified.
        root: the root, which signs ``root_ca_crl.der``.
        authority: the PCK's authority, which signs ``pck_crl.der``.
        at: the time at which a list has to be in force to be used.
        checks: the record.

    Returns:
        What the lists show.

    Raises:
        EvidenceError: a list does not parse (``"unreadable"``), is not its issuer's, or revokes one of
            the certificates (``"not_authentic"``).
    """
    shown = []
    for name, issuer in ((ROOT_CRL_FILE, root), (PCK_CRL_FILE, authority)):
        if name not in endorsements:
            shown.append(Revocation.ABSENT)
            continue
        crl = _read_crl(endorsements[name], name, checks)
        _check_issuer(crl, name, issuer, checks)
        _check_signature(crl, name, issuer, checks)
        _check_extensions(crl, name, checks)
        _check_not_listed(crl, name, certificates, checks)
        shown.append(Revocation.CURRENT if _in_force(crl, at) else Revocation.STALE)
    found = next(each for each in reversed(Revocation) if each in (*shown, Revocation.CURRENT))
    checks.authentic("revocation", found=found, wanted="no list that revokes a certificate", ok=True)
    return found


def _read_crl(der: bytes, name: str, checks: Checks) -> x509.CertificateRevocationList:
    try:
        crl = x509.load_der_x509_crl(der)
        _ = crl.extensions, crl.issuer, crl.last_update_utc, crl.next_update_utc
        _ = [(revoked.serial_number, revoked.extensions) for revoked in crl]  # parsed lazily otherwise
    except Exception as error:
        # The parser raises ValueError, TypeError, UnsupportedAlgorithm, InvalidVersion, DuplicateExtension and more.
        raise checks.unreadable(name, found="bytes that do not parse", wanted="a CRL in DER") from error
    if crl.public_bytes(Encoding.DER) != der:
        raise checks.unreadable(name, found="trailing bytes", wanted="one CRL in DER")
    return crl


def _check_issuer(crl: x509.CertificateRevocationList, name: str, issuer: x509.Certificate, checks: Checks) -> None:
    usages = [each.value for each in issuer.extensions if isinstance(each.value, x509.KeyUsage)]
    checks.authentic(
        f"{name}: issuer",
        found=crl.issuer.rfc4514_string(),
        wanted=f"{issuer.subject.rfc4514_string()}, whose key may sign lists",
        ok=crl.issuer == issuer.subject and any(usage.crl_sign for usage in usages),
    )


def _check_signature(crl: x509.CertificateRevocationList, name: str, issuer: x509.Certificate, checks: Checks) -> None:
    step, wanted = f"{name}: signature", "one by the list's issuer: ECDSA over SHA-256, SHA-384 or SHA-512"
    key = issuer.public_key()
    try:
        verifies = isinstance(key, ec.EllipticCurvePublicKey) and crl.is_signature_valid(key)
        strong = isinstance(crl.signature_hash_algorithm, _HASHES)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise checks.not_authentic(step, found=str(error), wanted=wanted) from error
    found = "one that verifies" if verifies else "one that does not verify"
    checks.authentic(step, found=found, wanted=wanted, ok=verifies and strong)


def _check_extensions(crl: x509.CertificateRevocationList, name: str, checks: Checks) -> None:
    """Refuse delta, partial and indirect lists: they are critical, and Intel publishes none (section 5.2)."""
    critical = [each.oid.dotted_string for each in crl.extensions if each.critical]
    checks.authentic(f"{name}: critical extensions", found=critical, wanted="none", ok=not critical)


def _check_not_listed(
    crl: x509.CertificateRevocationList, name: str, certificates: Sequence[x509.Certificate], checks: Checks
) -> None:
    for certificate in certificates:
        if certificate.issuer == crl.issuer:
            revoked = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
            checks.authentic(
                f"{name}: serial number {certificate.serial_number:x}",
                found="revoked" if revoked else "not listed",
                wanted="not listed",
                ok=revoked is None,
            )


def _in_force(crl: x509.CertificateRevocationList, at: datetime) -> bool:
    # Without a next update, a list would be the newest for ever.
    return crl.next_update_utc is not None and crl.last_update_utc <= at <= crl.next_update_utc
