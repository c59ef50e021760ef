"""A certificate path: from the key that signed a report up to a pinned root (RFC 5280, section 6.1).

The path is given in order, leaf first, and ends with the root itself. Its steps:

1. it is no longer than paths of vendors are;
2. its last certificate is one of the pinned roots, compared by fingerprint: a name proves nothing;
3. every certificate is valid at the time;
4. every certificate above the leaf may issue: basic constraints, key usage, path length;
5. no certificate has a critical extension that is not understood here or by the format;
6. every certificate is signed by the next, and the root by itself.

Revocation is the format's own: each vendor publishes it in another way.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from enclaved.verifier.certificate import fingerprint, fingerprint_text
from enclaved.verifier.checks import Checks

__all__ = ["check_path", "forget_links"]

_LONGEST = 8
_REMEMBERED = 256  # links, each some kilobytes
_UNDERSTOOD = frozenset({x509.BasicConstraints.oid, x509.KeyUsage.oid})
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


def check_path(
    path: Sequence[x509.Certificate],
    *,
    at: datetime,
    roots: AbstractSet[bytes],
    checks: Checks,
    step: str = "chain",
    critical: AbstractSet[x509.ObjectIdentifier] = frozenset(),
) -> None:
    """Check a path from a leaf to a pinned root.

    Args:
        path: the certificates, leaf first, root last.
        at: the time at which all have to be valid.
        roots: the SHA-256 fingerprints of the roots that may end it.
        checks: the record.
        step: the step's name in the record.
        critical: critical extensions of leaf or issuers that the format itself checks.

    Raises:
        EvidenceError: a step fails; the code is ``"not_authentic"``.
    """
    # 1. Length.
    checks.authentic(
        f"{step}: length", found=len(path), wanted=f"1 to {_LONGEST} certificates", ok=0 < len(path) <= _LONGEST
    )
    # 2. Ends in a pinned root.
    checks.authentic(
        f"{step}: root",
        found=fingerprint_text(path[-1]),
        wanted=[f"sha256:{root.hex()}" for root in roots] or "a pinned root, and none is pinned",
        ok=fingerprint(path[-1]) in roots,
    )
    # 3. Valid at that time.
    for certificate in path:
        _check_validity(certificate, at, checks, step)
    # 4. Issuers may issue.
    for below, certificate in enumerate(path[1:]):
        _check_issuer(certificate, below, checks, step)
    # 5. Nothing critical is passed over.
    for certificate in path:
        _check_critical(certificate, _UNDERSTOOD | critical, checks, step)
    # 6. Each is signed by the next.
    for certificate, issuer in zip(path, [*path[1:], path[-1]], strict=True):
        _check_signed_by(certificate, issuer, checks, step)


def forget_links() -> None:
    """Forget which links have verified, so that the next verification is like a process's first."""
    _verify_link.cache_clear()


def _check_validity(certificate: x509.Certificate, at: datetime, checks: Checks, step: str) -> None:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    checks.authentic(
        f"{step}: validity of {_name(certificate)}",
        found=at,
        wanted=f"{start:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}",
        ok=start <= at <= end,
    )


def _check_issuer(certificate: x509.Certificate, below: int, checks: Checks, step: str) -> None:
    """Check that a certificate may issue with that many intermediates below it (sections 4.2.1.3, 4.2.1.9)."""
    constraints = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    may_issue = (
        constraints is not None
        and constraints.ca
        and (constraints.path_length is None or below <= constraints.path_length)
        and usage is not None
        and usage.key_cert_sign
    )
    checks.authentic(
        f"{step}: {_name(certificate)} may issue",
        found=f"{constraints}, {usage}" if not may_issue else f"an issuer with {below} intermediates below",
        wanted="a certification authority whose path length allows for it",
        ok=may_issue,
    )


def _check_critical(
    certificate: x509.Certificate, understood: AbstractSet[x509.ObjectIdentifier], checks: Checks, step: str
) -> None:
    unknown = [e.oid.dotted_string for e in certificate.extensions if e.critical and e.oid not in understood]
    checks.authentic(
        f"{step}: critical extensions of {_name(certificate)}", found=unknown, wanted="none unknown", ok=not unknown
    )


def _check_signed_by(certificate: x509.Certificate, issuer: x509.Certificate, checks: Checks, step: str) -> None:
    step = f"{step}: signature of {_name(certificate)}"
    wanted = f"one by {_name(issuer)} over SHA-256, SHA-384 or SHA-512"
    try:
        strong = isinstance(certificate.signature_hash_algorithm, _HASHES)
        _verify_link(certificate, issuer)
    except InvalidSignature as error:
        raise checks.not_authentic(step, found="one that does not verify", wanted=wanted) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # another issuer's name, or an odd algorithm
        raise checks.not_authentic(step, found=str(error), wanted=wanted) from error
    found = "one that verifies" if strong else "one over a weak or unknown hash"
    checks.authentic(step, found=found, wanted=wanted, ok=strong)


@lru_cache(maxsize=_REMEMBERED)
def _verify_link(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Verify that the issuer's key signed the certificate.

    Whether it did is a matter of the two certificates' bytes alone, whatever the
    time or the roots are, so a link that verified once is remembered: vendors'
    issuers stay the same for days or years, and their signatures are most of the
    work. A link that does not verify raises, and is never remembered.
    """
    certificate.verify_directly_issued_by(issuer)


_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


@lru_cache(maxsize=_REMEMBERED)
def _name(certificate: x509.Certificate) -> str:
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(common[0].value) if common else "a certificate without a name"
