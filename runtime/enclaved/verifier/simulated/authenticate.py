"""Stage one for simulated evidence.

It is signed and verified by the same path as evidence of hardware, so that what
is developed with it runs unchanged on hardware. It proves that the holder of a
root key made it, and nothing about any machine: the root comes with the evidence,
so only a policy that names this very root can accept it. Steps:

1. the report parses: CBOR, version 1, every field of its size;
2. the device's certificate and the root parse;
3. the path: device under root, both valid at the time, the root signed by itself;
4. the device's key is a P-384 key that may sign, and is no authority;
5. the report is signed by the device's key.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from enclaved.verifier.certificate import fingerprint, fingerprint_text, read_certificate
from enclaved.verifier.certificate_path import check_path
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.roots import Roots
from enclaved.verifier.simulated.report import SimulatedReport, read_report
from enclaved.wire.attestation import Evidence

__all__ = ["DEVICE_FILE", "NAME", "ROOT_FILE", "authenticate_simulated"]

NAME = "simulated"
DEVICE_FILE = "device.der"
ROOT_FILE = "root.der"


def authenticate_simulated(evidence: Evidence, *, at: datetime, roots: Roots, checks: Checks) -> Claims:
    """Tell evidence of the simulated device from any other.

    Args:
        evidence: ``simulated.cbor`` with ``device.der`` and ``root.der``.
        at: the time at which both certificates have to be valid.
        roots: unused: the root is the developer's own, comes with the evidence and is a claim.
        checks: the record.

    Returns:
        The claims, `simulated` and not `confidential`.

    Raises:
        EvidenceError: it cannot be read, is of another version, or is not authentic.
    """
    # 1. The report parses.
    report = read_report(evidence.report, checks)
    # 2. The certificates parse.
    device = read_certificate(evidence.endorsements.get(DEVICE_FILE), DEVICE_FILE, checks)
    root = read_certificate(evidence.endorsements.get(ROOT_FILE), ROOT_FILE, checks)
    # 3. The path ends in the root that came along; which one it is, is a claim and the policy's.
    check_path([device, root], at=at, roots={fingerprint(root)}, checks=checks)
    # 4. The device's key signs reports and issues nothing.
    public_key = _device_key(device, checks)
    _check_purpose(device, checks)
    # 5. The report is the device's.
    _check_signature(report, public_key, checks)
    return _claims(report, root)


def _device_key(device: x509.Certificate, checks: Checks) -> ec.EllipticCurvePublicKey:
    public_key = device.public_key()
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP384R1):
        raise checks.not_authentic("device key", found=type(public_key).__name__, wanted="a key on P-384")
    return public_key


def _check_purpose(device: x509.Certificate, checks: Checks) -> None:
    """Check that the key may sign and may not issue: another purpose's certificate is not a device's."""
    try:
        is_authority = device.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        may_sign = device.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    except x509.ExtensionNotFound as error:
        raise checks.not_authentic("device key", found=str(error), wanted="constraints and usage") from error
    checks.authentic(
        "device key",
        found="an issuer's key" if is_authority else "a key that may sign" if may_sign else "a key that may not sign",
        wanted="a key that may sign",
        ok=may_sign and not is_authority,
    )


def _check_signature(report: SimulatedReport, public_key: ec.EllipticCurvePublicKey, checks: Checks) -> None:
    wanted = "one that verifies with the device's key"
    try:
        public_key.verify(report.signature, report.signed, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature as error:
        raise checks.not_authentic("signature", found="one that does not verify", wanted=wanted) from error
    checks.authentic("signature", found="one that verifies", wanted=wanted, ok=True)


def _claims(report: SimulatedReport, root: x509.Certificate) -> Claims:
    return Claims(
        format=NAME,
        bound_data=report.bound_data,
        confidential=False,
        simulated=True,
        debug=report.debug,
        tcb_status=None,
        measurement=report.measurement,
        evidence_time=report.host_time,
        vendor={
            "bound_data": report.bound_data,
            "measurement": report.measurement,
            "debug": report.debug,
            "host_time": report.host_time_ms,
            "root": fingerprint_text(root),
        },
    )
