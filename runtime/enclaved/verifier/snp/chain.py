"""The certificates that vouch for the key of a report: ARK, then ASK or ASVK, then VCEK or VLEK.

AMD publication 57230, chapter 3. Names prove nothing by themselves; they are
checked so that no key that AMD made for another purpose can take the place of
the one that is meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import SignatureAlgorithmOID

from enclaved.verifier.certificate import read_certificate, read_pem_certificates
from enclaved.verifier.checks import Checks
from enclaved.verifier.snp.product import ProductLine
from enclaved.verifier.snp.report import SigningKey

__all__ = ["ENDORSEMENT_FILES", "Chain", "check_algorithms", "check_names", "read_chain"]

ENDORSEMENT_FILES = ("vcek.der", "vlek.der", "ask.pem", "asvk.pem", "ark.pem", "*.crl")
_FILES = {SigningKey.VCEK: ("vcek.der", "ask.pem"), SigningKey.VLEK: ("vlek.der", "asvk.pem")}
_SUBJECTS = {SigningKey.VCEK: ("SEV-VCEK", "SEV-{line}"), SigningKey.VLEK: ("SEV-VLEK", "SEV-VLEK-{line}")}
_ORGANISATION = "Advanced Micro Devices"
_ALGORITHM = f"{SignatureAlgorithmOID.RSASSA_PSS.dotted_string} with {hashes.SHA384.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The certificates of one report.

    Attributes:
        vek: of the VCEK or VLEK, which signed the report.
        authority: of the ASK or ASVK, which signed the VEK.
        root: of the ARK, which signed the authority and itself.
    """

    vek: x509.Certificate
    authority: x509.Certificate
    root: x509.Certificate

    @property
    def path(self) -> tuple[x509.Certificate, ...]:
        """All of them, leaf first."""
        return self.vek, self.authority, self.root


def read_chain(endorsements: Mapping[str, bytes], kind: SigningKey, checks: Checks) -> Chain:
    """Return the certificates for a kind of signing key.

    Args:
        endorsements: the files beside the report.
        kind: which key the report says signed it; the files for the other kind are not looked at.
        checks: the record.

    Raises:
        EvidenceError: one is missing, does not parse, or is not alone in its file.
    """
    vek, authority = _FILES[kind]
    return Chain(
        vek=read_certificate(endorsements.get(vek), vek, checks),
        authority=_one(endorsements, authority, checks),
        root=_one(endorsements, "ark.pem", checks),
    )


def check_names(chain: Chain, kind: SigningKey, line: ProductLine, checks: Checks) -> None:
    """Check that each certificate is the one that AMD makes for its place.

    Args:
        chain: the certificates.
        kind: which key the report says signed it.
        line: the product line.
        checks: the record.

    Raises:
        EvidenceError: one has another name, another organisation or another version of X.509.
    """
    leaf, authority = _SUBJECTS[kind]
    wanted = (leaf, authority.format(line=line.title), f"ARK-{line.title}")
    for certificate, name in zip(chain.path, wanted, strict=True):
        checks.equal("name", found=_attribute(certificate, x509.NameOID.COMMON_NAME), wanted=name)
        checks.equal(
            f"organisation of {name}",
            found=_attribute(certificate, x509.NameOID.ORGANIZATION_NAME),
            wanted=_ORGANISATION,
        )
        checks.equal(f"version of {name}", found=certificate.version, wanted=x509.Version.v3)


def check_algorithms(chain: Chain, checks: Checks) -> None:
    """Check that each certificate is signed as AMD signs: RSASSA-PSS with SHA-384.

    Raises:
        EvidenceError: one is signed in another way.
    """
    for certificate in chain.path:
        checks.equal("certificate algorithm", found=_algorithm(certificate), wanted=_ALGORITHM)


def _one(endorsements: Mapping[str, bytes], name: str, checks: Checks) -> x509.Certificate:
    certificates = read_pem_certificates(endorsements.get(name), name, checks)
    if len(certificates) != 1:
        raise checks.unreadable(name, found=f"{len(certificates)} certificates", wanted="one certificate")
    return certificates[0]


def _algorithm(certificate: x509.Certificate) -> str:
    name = certificate.signature_algorithm_oid.dotted_string
    try:
        digest = certificate.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):  # parameters that do not parse, or a digest that nobody knows
        return name
    return f"{name} with {digest.name if digest else 'no digest'}"


def _attribute(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str | None:
    values = certificate.subject.get_attributes_for_oid(oid)
    return str(values[0].value) if len(values) == 1 else None  # two names are none: readers would differ
