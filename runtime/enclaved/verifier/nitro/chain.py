"""The certificates of a Nitro document: the security module's, and those above it.

AWS, "Nitro Enclaves Attestation Process", section 3.2.3. They travel inside the
signed document, root first. AWS publishes no status for them that could be asked:
the leaf lives about three hours instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import SignatureAlgorithmOID

from enclaved.verifier.certificate import read_certificate
from enclaved.verifier.checks import Checks
from enclaved.verifier.nitro.document import Document

__all__ = ["check_algorithms", "check_leaf", "read_path"]


def read_path(document: Document, checks: Checks) -> list[x509.Certificate]:
    """Return the certificates, leaf first.

    Args:
        document: the document.
        checks: the record.

    Raises:
        EvidenceError: one does not parse; the code is ``"unreadable"``.
    """
    issuers = [read_certificate(der, f"cabundle[{index}]", checks) for index, der in enumerate(document.cabundle)]
    return [read_certificate(document.certificate, "certificate", checks), *reversed(issuers)]


def check_algorithms(path: Sequence[x509.Certificate], checks: Checks) -> None:
    """Check that each certificate holds a key and a signature of the kind that AWS makes.

    Args:
        path: the certificates.
        checks: the record.

    Raises:
        EvidenceError: a key is not on P-384, or a signature is not ECDSA with SHA-384.
    """
    for certificate in path:
        public_key = certificate.public_key()
        on_p384 = isinstance(public_key, ec.EllipticCurvePublicKey) and isinstance(public_key.curve, ec.SECP384R1)
        is_ecdsa = certificate.signature_algorithm_oid == SignatureAlgorithmOID.ECDSA_WITH_SHA384
        checks.authentic(
            "certificate algorithm",
            found=certificate.signature_algorithm_oid.dotted_string if on_p384 else "a key that is not on P-384",
            wanted=f"a key on P-384, signed with ECDSA and {hashes.SHA384.name}",
            ok=on_p384 and is_ecdsa,
        )


def check_leaf(leaf: x509.Certificate, checks: Checks) -> None:
    """Check that the leaf's key may sign documents, and issues nothing (sections 3.2.3.2 and 3.2.3.3).

    Args:
        leaf: the document's certificate.
        checks: the record.

    Raises:
        EvidenceError: it may not sign, or it is an issuer's.
    """
    extensions = {extension.oid: extension.value for extension in leaf.extensions}
    constraints, usage = extensions.get(x509.BasicConstraints.oid), extensions.get(x509.KeyUsage.oid)
    issues = isinstance(constraints, x509.BasicConstraints) and constraints.ca
    signs = isinstance(usage, x509.KeyUsage) and usage.digital_signature
    checks.authentic(
        "leaf key",
        found="an issuer's key" if issues else "a key that may sign" if signs else "a key that may not sign",
        wanted="a key that signs documents and issues nothing",
        ok=signs and not issues,
    )
