"""Certificate revocation lists of AMD's key service (RFC 5280, sections 5 and 6.3).

The ARK signs the list of authorities (ASK, ASVK) that it has revoked. Whether a
list is demanded is the policy's; here it is found out what the lists that came
along say, and

- a list that is not one of this chain's issuers', or not signed by it, is a forgery;
- a list that revokes a certificate of the chain refuses it, however old the list is;
- a list past its next update, or not yet in force, is not used to show that nothing is revoked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import SignatureAlgorithmOID

from enclaved.verifier.checks import Checks
from enclaved.verifier.snp.chain import Chain

__all__ = ["Revocation", "check_revocation"]

_SUFFIX = ".crl"


class Revocation(StrEnum):
    """What the lists that came along show."""

    CURRENT = "current"
    """The root's list was in force, and revokes nothing of the chain."""
    STALE = "stale"
    """There was a list, and none of the root's was in force."""
    ABSENT = "absent"
    """There was none."""


def check_revocation(endorsements: Mapping[str, bytes], chain: Chain, *, at: datetime, checks: Checks) -> Revocation:
    """Check that no list that came along revokes a certificate of the chain.

    Args:
        endorsements: the files beside the report.
        chain: the certificates, already verified.
        at: the time at which a list has to be in force to be used.
        checks: the record.

    Returns:
        What the lists show.

    Raises:
        EvidenceError: a list does not parse (``"unreadable"``), is not one of this chain's issuers', or
            revokes a certificate of it (``"not_authentic"``).
    """
    found = Revocation.ABSENT
    for name in sorted(name for name in endorsements if name.endswith(_SUFFIX)):
        crl = _read_crl(endorsements[name], name, checks)
        issuer = _issuer(crl, name, chain, checks)
        _check_signature(crl, name, issuer, checks)
        _check_extensions(crl, name, checks)
        _check_not_listed(crl, name, chain, checks)
        if issuer is chain.root and _in_force(crl, at):
            found = Revocation.CURRENT
        elif found is Revocation.ABSENT:
            found = Revocation.STALE
    checks.authentic("revocation", found=found, wanted="no list that revokes a certificate", ok=True)
    return found


def _read_crl(der: bytes, name: str, checks: Checks) -> x509.CertificateRevocationList:
    try:
        crl = x509.load_der_x509_crl(der)
        _ = crl.extensions, crl.issuer, crl.last_update_utc, crl.next_update_utc
        _ = [revoked.serial_number for revoked in crl]  # parsed lazily: what is wrong in them has to show here
    except Exception as error:
        # The parser raises ValueError, TypeError, UnsupportedAlgorithm, InvalidVersion, DuplicateExtension and more.
        raise checks.unreadable(name, found="bytes that do not parse", wanted="a CRL in DER") from error
    if crl.public_bytes(Encoding.DER) != der:
        raise checks.unreadable(name, found="trailing bytes", wanted="one CRL in DER")
    return crl


def _issuer(crl: x509.CertificateRevocationList, name: str, chain: Chain, checks: Checks) -> x509.Certificate:
    for certificate in (chain.root, chain.authority):
        if certificate.subject == crl.issuer:
            break
    else:
        raise checks.not_authentic(
            f"{name}: issuer", found=crl.issuer.rfc4514_string(), wanted="an issuer of this chain"
        )
    usages = [each.value for each in certificate.extensions if isinstance(each.value, x509.KeyUsage)]
    checks.authentic(
        f"{name}: issuer",
        found=crl.issuer.rfc4514_string(),
        wanted="an issuer of this chain whose key may sign lists",
        ok=any(usage.crl_sign for usage in usages),
    )
    return certificate


def _check_signature(crl: x509.CertificateRevocationList, name: str, issuer: x509.Certificate, checks: Checks) -> None:
    step, wanted = f"{name}: signature", "one by the list's issuer: RSASSA-PSS with SHA-384"
    public_key = issuer.public_key()
    try:
        is_pss = crl.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS
        is_sha384 = isinstance(crl.signature_hash_algorithm, hashes.SHA384)
        verifies = isinstance(public_key, rsa.RSAPublicKey) and crl.is_signature_valid(public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise checks.not_authentic(step, found=str(error), wanted=wanted) from error
    found = "one that verifies" if verifies else "one that does not verify"
    checks.authentic(step, found=found, wanted=wanted, ok=verifies and is_pss and is_sha384)


def _check_extensions(crl: x509.CertificateRevocationList, name: str, checks: Checks) -> None:
    """Refuse delta, partial and indirect lists: they are critical, and AMD publishes none (section 5.2)."""
    critical = [each.oid.dotted_string for each in crl.extensions if each.critical]
    checks.authentic(f"{name}: critical extensions", found=critical, wanted="none", ok=not critical)


def _check_not_listed(crl: x509.CertificateRevocationList, name: str, chain: Chain, checks: Checks) -> None:
    for certificate in chain.path:
        if certificate.issuer == crl.issuer:
            revoked = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
            checks.authentic(
                f"{name}: serial number {certificate.serial_number}",
                found="revoked" if revoked else "not listed",
                wanted="not listed",
                ok=revoked is None,
            )


def _in_force(crl: x509.CertificateRevocationList, at: datetime) -> bool:
    # Without a next update, a list would be the newest for ever.
    return crl.next_update_utc is not None and crl.last_update_utc <= at <= crl.next_update_utc
