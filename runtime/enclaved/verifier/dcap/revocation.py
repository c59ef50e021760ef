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
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from enclaved.verifier.checks import Checks

__all__ = ["PCK_CRL_FILE", "ROOT_CRL_FILE", "Revocation", "check_revocation"]

ROOT_CRL_FILE = "root_ca_crl.der"
PCK_CRL_FILE = "pck_crl.der"
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_REMEMBERED = 16  # lists; Intel's have some kilobytes, no file has more than 256


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    """A list, parsed and not verified."""

    der: bytes
    issuer: x509.Name
    serial_numbers: frozenset[int]
    critical: tuple[str, ...]
    start: datetime
    end: datetime | None


def _read_crl(der: bytes, name: str, checks: Checks) -> _List:
    try:
        return _parse(der)
    except Exception as error:
        # The parser raises ValueError, TypeError, UnsupportedAlgorithm, InvalidVersion, DuplicateExtension and more.
        raise checks.unreadable(name, found=str(error) or "bytes that do not parse", wanted="a CRL in DER") from error


@lru_cache(maxsize=_REMEMBERED)
def _parse(der: bytes) -> _List:
    """Parse a list; the same one serves all platforms for days, so it is remembered by its bytes."""
    crl = x509.load_der_x509_crl(der)
    if crl.public_bytes(Encoding.DER) != der:
        raise ValueError("trailing bytes")
    for revoked in crl:
        _ = revoked.extensions  # parsed lazily: what is wrong in them has to show here
    return _List(
        der=der,
        issuer=crl.issuer,
        serial_numbers=frozenset(revoked.serial_number for revoked in crl),
        critical=tuple(each.oid.dotted_string for each in crl.extensions if each.critical),
        start=crl.last_update_utc,
        end=crl.next_update_utc,
    )


def _check_issuer(found: _List, name: str, issuer: x509.Certificate, checks: Checks) -> None:
    usages = [each.value for each in issuer.extensions if isinstance(each.value, x509.KeyUsage)]
    checks.authentic(
        f"{name}: issuer",
        found=found.issuer.rfc4514_string(),
        wanted=f"{issuer.subject.rfc4514_string()}, whose key may sign lists",
        ok=found.issuer == issuer.subject and any(usage.crl_sign for usage in usages),
    )


def _check_signature(found: _List, name: str, issuer: x509.Certificate, checks: Checks) -> None:
    step, wanted = f"{name}: signature", "one by the list's issuer: ECDSA over SHA-256, SHA-384 or SHA-512"
    try:
        _verify(found.der, issuer)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise checks.not_authentic(step, found=str(error) or "one that does not verify", wanted=wanted) from error
    checks.authentic(step, found="one that verifies", wanted=wanted, ok=True)


@lru_cache(maxsize=_REMEMBERED)
def _verify(der: bytes, issuer: x509.Certificate) -> None:
    """Verify a list's signature; one that verified once is remembered, one that does not raises and never is."""
    crl, key = x509.load_der_x509_crl(der), issuer.public_key()
    if not isinstance(crl.signature_hash_algorithm, _HASHES) or not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidSignature("one of another kind")
    if not crl.is_signature_valid(key):
        raise InvalidSignature("one that does not verify")


def _check_extensions(found: _List, name: str, checks: Checks) -> None:
    """Refuse delta, partial and indirect lists: they are critical, and Intel publishes none (section 5.2)."""
    checks.authentic(f"{name}: critical extensions", found=found.critical, wanted="none", ok=not found.critical)


def _check_not_listed(found: _List, name: str, certificates: Sequence[x509.Certificate], checks: Checks) -> None:
    for certificate in certificates:
        if certificate.issuer == found.issuer:
            listed = certificate.serial_number in found.serial_numbers
            checks.authentic(
                f"{name}: serial number {certificate.serial_number:x}",
                found="revoked" if listed else "not listed",
                wanted="not listed",
                ok=not listed,
            )


def _in_force(found: _List, at: datetime) -> bool:
    # Without a next update, a list would be the newest for ever.
    return found.end is not None and found.start <= at <= found.end
