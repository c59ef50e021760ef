"""The key that signs reports, and what AMD's certificate says of it.

AMD publication 57230, chapter 3, tables of the custom extensions. The certificate
holds for one TCB version of one chip (VCEK), or of one cloud provider's chips
(VLEK): the extensions say which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from enclaved.verifier.checks import Checks
from enclaved.verifier.snp.product import ProductLine
from enclaved.verifier.snp.report import SigningKey, SnpReport

__all__ = ["Vek", "check_chip", "check_signature", "check_tcb", "check_vek", "read_vek"]

_AMD = "1.3.6.1.4.1.3704.1."
_STRUCT_VERSION = f"{_AMD}1"
_PRODUCT_NAME = f"{_AMD}2"
_HW_ID = f"{_AMD}4"
_CSP_ID = f"{_AMD}5"
_COMPONENTS = {
    f"{_AMD}3.1": "bootloader",
    f"{_AMD}3.2": "tee",
    f"{_AMD}3.3": "snp",
    f"{_AMD}3.4": "spl_4",
    f"{_AMD}3.5": "spl_5",
    f"{_AMD}3.6": "spl_6",
    f"{_AMD}3.7": "spl_7",
    f"{_AMD}3.8": "microcode",
    f"{_AMD}3.9": "fmc",
}
_STRUCT_VERSIONS = (0, 1)  # 1 since Turin
_INTEGER, _OCTET_STRING, _IA5_STRING = 0x02, 0x04, 0x16


@dataclass(frozen=True, slots=True, kw_only=True)
class Vek:
    """A VCEK or VLEK as its certificate describes it.

    Attributes:
        certificate: the certificate.
        product: the product's name, such as ``"Milan-B0"``.
        tcb: the TCB version that it is for, by component.
        hw_id: the chip that it is for; None for a VLEK.
        csp_id: the cloud provider that it is for; None for a VCEK.
    """

    certificate: x509.Certificate
    product: str
    tcb: Mapping[str, int]
    hw_id: bytes | None
    csp_id: str | None


def read_vek(certificate: x509.Certificate, checks: Checks) -> Vek:
    """Return what a certificate says of the key.

    Args:
        certificate: the certificate, parsed and not yet verified.
        checks: the record.

    Raises:
        EvidenceError: an extension is missing or does not parse (``"unreadable"``), or they are of
            an unknown structure (``"unsupported"``).
    """
    values = {
        extension.oid.dotted_string: extension.value.value
        for extension in certificate.extensions
        if isinstance(extension.value, x509.UnrecognizedExtension)
    }
    try:
        structure = _der_integer(values[_STRUCT_VERSION])
        product = _der_text(values[_PRODUCT_NAME])
        tcb = {name: _der_integer(values[oid]) for oid, name in _COMPONENTS.items() if oid in values}
        csp_id = _der_text(values[_CSP_ID]) if _CSP_ID in values else None
    except (KeyError, ValueError) as error:
        raise checks.unreadable("vek extensions", found=str(error), wanted="those of a VCEK or VLEK") from error
    if structure not in _STRUCT_VERSIONS:
        raise checks.unsupported("vek extensions", found=f"structure {structure}", wanted=_STRUCT_VERSIONS)
    hw_id = _octets(values[_HW_ID]) if _HW_ID in values else None
    return Vek(certificate=certificate, product=product, tcb=tcb, hw_id=hw_id, csp_id=csp_id)


def check_vek(vek: Vek, checks: Checks) -> None:
    """Check that the key is one that may sign reports.

    AMD's certificates have neither basic constraints nor a key usage. A certificate
    that has them is held to what they say.

    Args:
        vek: the key.
        checks: the record.

    Raises:
        EvidenceError: it is not on P-384, or an issuer's, or may not sign.
    """
    public_key = vek.certificate.public_key()
    extensions = {extension.oid: extension.value for extension in vek.certificate.extensions}
    constraints, usage = extensions.get(x509.BasicConstraints.oid), extensions.get(x509.KeyUsage.oid)
    on_p384 = isinstance(public_key, ec.EllipticCurvePublicKey) and isinstance(public_key.curve, ec.SECP384R1)
    issues = isinstance(constraints, x509.BasicConstraints) and constraints.ca
    signs = not isinstance(usage, x509.KeyUsage) or usage.digital_signature
    checks.authentic(
        "vek key",
        found=f"{'P-384' if on_p384 else 'another kind'}, {'issues' if issues else 'signs' if signs else 'no signing'}",
        wanted="a key on P-384 that signs reports and issues nothing",
        ok=on_p384 and signs and not issues,
    )


def check_signature(report: SnpReport, vek: Vek, checks: Checks) -> None:
    """Check that the key signed the report: ECDSA on P-384 with SHA-384.

    Args:
        report: the report.
        vek: the key, already vouched for.
        checks: the record.

    Raises:
        EvidenceError: it did not.
    """
    wanted = "one that verifies with the VEK"
    public_key = vek.certificate.public_key()
    try:
        if not isinstance(public_key, ec.EllipticCurvePublicKey):
            raise checks.not_authentic("signature", found="a key of another kind", wanted=wanted)
        public_key.verify(encode_dss_signature(*report.signature), report.signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature as error:
        raise checks.not_authentic("signature", found="one that does not verify", wanted=wanted) from error
    checks.authentic("signature", found="one that verifies", wanted=wanted, ok=True)


def check_tcb(vek: Vek, reported: Mapping[str, int], checks: Checks) -> None:
    """Check that the key is for the TCB version that the report states, component by component.

    The VCEK is derived from this version: a host that runs older firmware cannot
    sign with the key of newer firmware, and so cannot claim to run it.

    Args:
        vek: the key.
        reported: the report's ``reported_tcb`` by component.
        checks: the record.

    Raises:
        EvidenceError: one component differs, or the certificate says nothing on it.
    """
    for component in sorted(reported.keys() | vek.tcb.keys()):
        # What the certificate numbers and this line does not have is a spare, and zero.
        checks.equal(f"vek tcb: {component}", found=vek.tcb.get(component), wanted=reported.get(component, 0))


def check_chip(vek: Vek, report: SnpReport, line: ProductLine, checks: Checks) -> None:
    """Check that the key is for the chip that the report names, or for a cloud provider.

    Args:
        vek: the key.
        report: the report.
        line: the product line.
        checks: the record.

    Raises:
        EvidenceError: it is for another chip, or for none; a masked chip identifier is no chip's.
    """
    if report.signing_key is SigningKey.VLEK:
        checks.equal("vlek hw_id", found=vek.hw_id, wanted=None)
        checks.authentic("vlek csp_id", found=vek.csp_id, wanted="a cloud provider", ok=bool(vek.csp_id))
        return
    checks.equal("vcek csp_id", found=vek.csp_id, wanted=None)
    # Both sides are cut to the size that the line defines, so an empty identifier matches no masked one.
    hw_id = vek.hw_id if vek.hw_id and len(vek.hw_id) == line.hw_id_size and any(vek.hw_id) else None
    wanted, rest = report.chip_id[: line.hw_id_size], report.chip_id[line.hw_id_size :]
    checks.equal("vcek hw_id", found=hw_id, wanted=wanted)
    checks.authentic("rest of chip_id", found=rest, wanted="all zero", ok=not any(rest))


def _der_integer(der: bytes) -> int:
    """Return an INTEGER of one unsigned byte, in its one DER encoding (X.690, section 8.3)."""
    value = int.from_bytes(der[2:], "big")
    size = 1 if value < 0x80 else 2
    if len(der) < 3 or der != bytes((_INTEGER, size)) + value.to_bytes(size, "big") or value > 0xFF:
        raise ValueError(f"{der[:16].hex()} where an integer of one byte belongs")
    return value


def _der_text(der: bytes) -> str:
    """Return an IA5String of less than 128 characters."""
    if len(der) < 3 or der[:2] != bytes((_IA5_STRING, len(der) - 2)) or not der[2:].isascii() or len(der) > 0x81:
        raise ValueError(f"{der[:16].hex()} where a text belongs")
    return der[2:].decode("ascii")


def _octets(der: bytes) -> bytes:
    """Return the hwID, which AMD writes bare or as an OCTET STRING: 8 or 64 bytes, else whatever is there."""
    wrapped = len(der) in (10, 66) and der[:2] == bytes((_OCTET_STRING, len(der) - 2))
    return der[2:] if wrapped else der
