"""The certificates that vouch for an attestation key, where an authority certified it.

TCG, "TPM 2.0 Keys for Device Identity and Attestation", and RFC 5280. There is no
root of all TPMs: manufacturers, clouds and firms each have their own. So the
path ends in the root that came along, which one it is becomes a claim, and only
a policy that names that root, or the key itself, accepts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from enclaved.verifier.certificate import fingerprint, read_pem_certificates
from enclaved.verifier.certificate_path import check_path
from enclaved.verifier.checks import Checks
from enclaved.verifier.tpm.key import AttestationKey, check_kind

__all__ = ["CHAIN_FILE", "check_chain", "read_chain"]

CHAIN_FILE = "ak_chain.pem"
_ATTESTS = x509.ObjectIdentifier("2.23.133.8.3")  # tcg-kp-AIKCertificate
_UNDERSTOOD = frozenset({ExtensionOID.EXTENDED_KEY_USAGE, ExtensionOID.SUBJECT_ALTERNATIVE_NAME})


def read_chain(pem: bytes | None, checks: Checks) -> Sequence[x509.Certificate]:
    """Return the certificates that came along: the attestation key's first, the root last.

    Args:
        pem: the file's bytes; None where there is no such file.
        checks: the record.

    Raises:
        EvidenceError: one does not parse; the code is ``"unreadable"``.
    """
    return [] if pem is None else read_pem_certificates(pem, CHAIN_FILE, checks)


def check_chain(path: Sequence[x509.Certificate], key: AttestationKey, *, at: datetime, checks: Checks) -> None:
    """Check that an authority certified the attestation key, if one is said to have.

    Args:
        path: the certificates, leaf first, root last; none where nobody certified the key.
        key: the attestation key.
        at: the time at which all certificates have to be valid.
        checks: the record.

    Raises:
        EvidenceError: a certificate is of another key, may not attest, or is not vouched for.
    """
    if not path:
        return
    leaf = check_kind(path[0].public_key(), f"{CHAIN_FILE}: key", checks)
    checks.equal("certified key", found=leaf.fingerprint, wanted=key.fingerprint)
    check_path(path, at=at, roots={fingerprint(path[-1])}, checks=checks, critical=_UNDERSTOOD)
    _check_leaf(path[0], checks)


def _check_leaf(leaf: x509.Certificate, checks: Checks) -> None:
    """Check that the certificate is not an issuer's, and is for attesting if it says what it is for."""
    extensions = {extension.oid: extension.value for extension in leaf.extensions}
    constraints, usage = extensions.get(x509.BasicConstraints.oid), extensions.get(x509.KeyUsage.oid)
    extended = extensions.get(x509.ExtendedKeyUsage.oid)
    issues = isinstance(constraints, x509.BasicConstraints) and constraints.ca
    signs = not isinstance(usage, x509.KeyUsage) or usage.digital_signature
    attests = not isinstance(extended, x509.ExtendedKeyUsage) or _ATTESTS in extended
    checks.authentic(
        "certified key's use",
        found="issues" if issues else "attests" if signs and attests else "something else",
        wanted="attests, and issues nothing",
        ok=signs and attests and not issues,
    )
