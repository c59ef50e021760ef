"""The certificates of Intel's that a quote needs: the PCK's, and that of the key that signs collateral.

Intel, "SGX PCK Certificate and Certificate Revocation List Profile
Specification", section 1.3. Both chains end in the one root, so each certificate
is held to its name: a platform's key must not sign TCB information.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from enclaved.verifier.certificate import read_pem_certificates
from enclaved.verifier.checks import Checks
from enclaved.verifier.dcap.pck import has_sgx_extension

__all__ = ["check_names", "check_signs", "read_pck_chain", "read_tcb_signing_chain"]

_ROOT = "Intel SGX Root CA"
_PCK_CHAIN = (
    frozenset({"Intel SGX PCK Certificate"}),
    frozenset({"Intel SGX PCK Platform CA", "Intel SGX PCK Processor CA"}),
    frozenset({_ROOT}),
)
_TCB_SIGNING_CHAIN = (frozenset({"Intel SGX TCB Signing"}), frozenset({_ROOT}))
_NAMES = {len(chain): chain for chain in (_PCK_CHAIN, _TCB_SIGNING_CHAIN)}


def read_pck_chain(pem: bytes, checks: Checks) -> list[x509.Certificate]:
    """Return the chain in a quote: PCK, its authority, root.

    Old platform software writes the root before the authority, so the two are
    told apart by who issued them; which one is the root, its fingerprint decides.

    Args:
        pem: the certification data; some quoting software ends it with a zero byte.
        checks: the record.

    Raises:
        EvidenceError: it does not parse (``"unreadable"``), or is not of three certificates (``"not_authentic"``).
    """
    certificates = read_pem_certificates(pem, "pck chain", checks)
    checks.equal("pck chain: certificates", found=len(certificates), wanted=len(_PCK_CHAIN))
    leaf, *issuers = certificates
    return [leaf, *sorted(issuers, key=lambda issuer: issuer.subject == issuer.issuer)]


def read_tcb_signing_chain(pem: bytes | None, name: str, checks: Checks) -> list[x509.Certificate]:
    """Return the chain of the key that signs collateral: that key's certificate, root.

    Raises:
        EvidenceError: it does not parse (``"unreadable"``), or is not of two certificates (``"not_authentic"``).
    """
    certificates = read_pem_certificates(pem, name, checks)
    checks.equal(f"{name}: certificates", found=len(certificates), wanted=len(_TCB_SIGNING_CHAIN))
    return certificates


def check_names(chain: Sequence[x509.Certificate], step: str, checks: Checks) -> None:
    """Check that each certificate is one that Intel makes for its place.

    Args:
        chain: a chain that one of the two readers above returned.
        step: the step's name in the record.
        checks: the record.

    Raises:
        EvidenceError: one is for another place; the code is ``"not_authentic"``.
    """
    for certificate, wanted in zip(chain, _NAMES[len(chain)], strict=True):
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        found = str(common[0].value) if len(common) == 1 else None  # two names are none: readers would differ
        checks.authentic(f"{step}: name", found=found, wanted=wanted, ok=found in wanted)
    is_pck = has_sgx_extension(chain[0])
    checks.equal(f"{step}: is a platform's", found=is_pck, wanted=len(chain) == len(_PCK_CHAIN))


def check_signs(certificate: x509.Certificate, step: str, checks: Checks) -> None:
    """Check that a certificate's key signs, and issues nothing.

    Raises:
        EvidenceError: its basic constraints or its key usage are missing, or say otherwise.
    """
    extensions = {extension.oid: extension.value for extension in certificate.extensions}
    constraints, usage = extensions.get(x509.BasicConstraints.oid), extensions.get(x509.KeyUsage.oid)
    checks.authentic(
        f"{step}: key usage",
        found=f"{constraints}, {usage}",
        wanted="a key that signs and issues nothing",
        ok=(
            isinstance(constraints, x509.BasicConstraints)
            and not constraints.ca
            and isinstance(usage, x509.KeyUsage)
            and usage.digital_signature
            and not usage.key_cert_sign
        ),
    )
