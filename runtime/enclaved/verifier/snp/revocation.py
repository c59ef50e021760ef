"""Certificate revocation lists of AMD's key service (RFC 5280, sections 5 and 6.3).

The ARK signs the list of authorities (ASK, ASVK) that it has revoked. Whether a
list is demanded is the policy's; here it is found out what the lists that came
along say, and

- a list that is not one of this chain's issuers', or not signed by it, is a forgery;
- a list that revokes a certificate of the chain refuses it, however old the list is;
- a list past its next update, or not yet in force, is not used to show that nothing is revoked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

__all__ = ["Revocation", "RevocationList", "check_lists", "read_lists", "what_lists_show"]

_SUFFIX = ".crl"


class Revocation(StrEnum):
    """What the lists that came along show."""

    CURRENT = "current"
    """The root's list was in force, and revokes nothing of the chain."""
    STALE = "stale"
    """There was a list, and none of the root's was in force."""
    ABSENT = "absent"
    """There was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationList:
    """A list that came along, not yet verified.

    Attributes:
        name: its file's name.
        crl: the list.
    """

    name: str
    crl: x509.CertificateRevocationList


def read_lists(endorsements: Mapping[str, bytes], checks: Checks) -> tuple[RevocationList, ...]:
    """Return the lists among the files beside the report.

    Args:
        endorsements: the files.
        checks: the record.

    Raises:
        EvidenceError: one does not parse; the code is ``"unreadable"``.
    """
    names = sorted(name for name in endorsements if name.endswith(_SUFFIX))
    return tuple(RevocationList(name=name, crl=_read_crl(endorsements[name], name, checks)) for name in names)


def check_lists(lists: Sequence[RevocationList], chain: Chain, checks: Checks) -> None:
    """Check that every list is of this chain, and revokes nothing of it.

    Args:
        lists: the lists.
        chain: the certificates, already verified.
        checks: the record.

    Raises:
        EvidenceError: one is not one of this chain's issuers', or revokes a certificate of it.
    """
    for each in lists:
        issuer = _issuer(each.crl, each.name, chain, checks)
        _check_signature(each.crl, each.name, issuer, checks)
        _check_extensions(each.crl, each.name, checks)
        _check_not_listed(each.crl, each.name, chain, checks)


def what_lists_show(lists: Sequence[RevocationList], chain: Chain, *, at: datetime) -> Revocation:
    """Return what lists show that have passed `check_lists`.

    Args:
        lists: the lists.
        chain: the certificates.
        at: the time at which a list has to be in force to be used.
    """
    if not lists:
        return Revocation.ABSENT
    current = any(each.crl.issuer == chain.root.subject and _in_force(each.crl, at) for each in lists)
    return Revocation.CURRENT if current else Revocation.STALE


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
