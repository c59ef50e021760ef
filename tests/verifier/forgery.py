"""An authority and a device that sign for real whatever a test turns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from enclaved.clock import unix_ms
from enclaved.wire.attestation import Evidence
from enclaved.wire.cbor import encode_cbor
from enclaved.wire.lp import length_prefixed
from simulation import MEASUREMENT, NOON

__all__ = ["Certified", "Recipe", "certify", "make_evidence", "payload"]

DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to make one certificate; the defaults make a good leaf."""

    name: str
    is_authority: bool = False
    path_length: int | None = None
    may_sign: bool = True
    may_certify: bool = False
    has_constraints: bool = True
    has_usage: bool = True
    start: datetime = NOON - DAY
    end: datetime = NOON + DAY
    digest: hashes.HashAlgorithm = field(default_factory=hashes.SHA384)
    curve: ec.EllipticCurve = field(default_factory=ec.SECP384R1)
    unknown_critical: bool = False


@dataclass(frozen=True, kw_only=True)
class Certified:
    """A certificate and its key."""

    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(Encoding.DER)


def authority(name: str, **turned: object) -> Recipe:
    """Return the recipe of a good authority, with fields turned."""
    return replace(Recipe(name=name, is_authority=True, may_sign=False, may_certify=True), **turned)


def certify(recipe: Recipe, issuer: Certified | None = None) -> Certified:
    """Make a certificate under an issuer, or under itself."""
    private_key = ec.generate_private_key(recipe.curve)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, recipe.name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(recipe.start)
        .not_valid_after(recipe.end)
    )
    if recipe.has_constraints:
        constraints = x509.BasicConstraints(ca=recipe.is_authority, path_length=recipe.path_length)
        builder = builder.add_extension(constraints, critical=True)
    if recipe.has_usage:
        builder = builder.add_extension(_usage(recipe), critical=True)
    if recipe.unknown_critical:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
        builder = builder.add_extension(unknown, critical=True)
    signer = issuer.private_key if issuer else private_key
    return Certified(certificate=builder.sign(signer, recipe.digest), private_key=private_key)


def payload(**turned: object) -> dict[str, object]:
    """Return the fields of a good simulated report, with some turned."""
    fields: dict[str, object] = {
        "version": 1,
        "bound_data": bytes(64),
        "measurement": MEASUREMENT,
        "debug": False,
        "host_time": unix_ms(NOON),
    }
    return {key: value for key, value in (fields | turned).items() if value is not ...}


def make_evidence(device: Certified, root: Certified, fields: dict[str, object] | None = None) -> Evidence:
    """Return simulated evidence that a device signs, whatever its certificate says."""
    body = encode_cbor(payload() if fields is None else fields)
    signed = length_prefixed(b"enclaved/1 simulated report", body)
    signature = device.private_key.sign(signed, ec.ECDSA(hashes.SHA384()))
    return Evidence(
        format="simulated",
        report=encode_cbor([body, signature]),
        endorsements={"device.der": device.der, "root.der": root.der},
    )


def _usage(recipe: Recipe) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=recipe.may_sign,
        key_cert_sign=recipe.may_certify,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
