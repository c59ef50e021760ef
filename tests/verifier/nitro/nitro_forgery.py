"""A security module, and the authority above it, that sign for real whatever a test turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from enclaved.clock import unix_ms
from enclaved.verifier.certificate import fingerprint
from enclaved.verifier.roots import AWS_NITRO, Roots
from enclaved.wire.attestation import Evidence
from simulation import NOON

__all__ = [
    "DAY",
    "Certified",
    "Link",
    "Module",
    "authority",
    "certify",
    "fields",
    "make_evidence",
    "make_module",
    "pcrs",
    "sign",
]

DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Link:
    """How to make one certificate; the defaults make a good leaf."""

    name: str
    is_authority: bool = False
    path_length: int | None = None
    usage: str | None = "digital_signature"
    start: datetime = NOON - DAY
    end: datetime = NOON + DAY
    digest: hashes.HashAlgorithm = field(default_factory=hashes.SHA384)
    curve: ec.EllipticCurve = field(default_factory=ec.SECP384R1)


@dataclass(frozen=True, kw_only=True)
class Certified:
    """A certificate and its key."""

    certificate: x509.Certificate
    private_key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(Encoding.DER)


@dataclass(frozen=True, kw_only=True)
class Module:
    """A security module: its own certificate, and those above it, root first."""

    leaf: Certified
    above: tuple[Certified, ...]

    @property
    def roots(self) -> Roots:
        """A table of roots that pins this one."""
        return Roots(fingerprints={AWS_NITRO: frozenset({fingerprint(self.above[0].certificate)})})


def authority(name: str, **turned: object) -> Link:
    """Return the recipe of an authority."""
    return replace(Link(name=name, is_authority=True, usage="key_cert_sign"), **turned)


def certify(link: Link, issuer: Certified | None = None) -> Certified:
    """Make a certificate under an issuer, or under itself."""
    private_key = ec.generate_private_key(link.curve)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, link.name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(link.start)
        .not_valid_after(link.end)
        .add_extension(x509.BasicConstraints(ca=link.is_authority, path_length=link.path_length), critical=True)
    )
    if link.usage is not None:
        builder = builder.add_extension(_usage(link.usage), critical=link.is_authority)
    signer = issuer.private_key if issuer else private_key
    return Certified(certificate=builder.sign(signer, link.digest), private_key=private_key)


def make_module(*links: Link, leaf: Link | None = None) -> Module:
    """Return a security module below authorities, root first."""
    above: list[Certified] = []
    for link in links or (authority("root"), authority("region", path_length=1), authority("instance", path_length=0)):
        above.append(certify(link, above[-1] if above else None))
    return Module(leaf=certify(leaf or Link(name="enclave"), above[-1]), above=tuple(above))


def pcrs(**turned: bytes) -> dict[int, bytes]:
    """Return PCRs of an image that runs, with some turned: ``pcr0=bytes(48)``."""
    values = {index: bytes(48) for index in range(16)} | {0: b"0" * 48, 1: b"1" * 48, 2: b"2" * 48, 4: b"4" * 48}
    return values | {int(name.removeprefix("pcr")): value for name, value in turned.items()}


def fields(module: Module, **turned: object) -> dict[str, object]:
    """Return a document's fields in the security module's order, with some turned; what is ``...`` is left out."""
    document: dict[str, object] = {
        "module_id": "i-0123456789abcdef0-enc0123456789abcdef",
        "digest": "SHA384",
        "timestamp": unix_ms(NOON),
        "pcrs": pcrs(),
        "certificate": module.leaf.der,
        "cabundle": [each.der for each in module.above],
        "public_key": None,
        "user_data": bytes(range(64)),
        "nonce": None,
    }
    return {name: value for name, value in (document | turned).items() if value is not ...}


def sign(
    module: Module,
    payload: bytes,
    *,
    protected: Mapping[int, object] | bytes | None = None,
    signer: ec.EllipticCurvePrivateKey | None = None,
) -> list[object]:
    """Return the four parts of a message that the module signs."""
    header = protected if isinstance(protected, bytes) else cbor2.dumps({1: -35} if protected is None else protected)
    signed = cbor2.dumps(["Signature1", header, b"", payload])
    r, s = decode_dss_signature((signer or module.leaf.private_key).sign(signed, ec.ECDSA(hashes.SHA384())))
    size = 48 if r < 1 << 384 and s < 1 << 384 else 66
    return [header, {}, payload, r.to_bytes(size, "big") + s.to_bytes(size, "big")]


def make_evidence(module: Module, payload: bytes | None = None, **turned: object) -> Evidence:
    """Return evidence that the module signs, with fields of the document turned."""
    encoded = cbor2.dumps(fields(module, **turned)) if payload is None else payload
    return Evidence(format="nitro", report=cbor2.dumps(sign(module, encoded)), endorsements={})


def _usage(name: str) -> x509.KeyUsage:
    usages = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**(usages | {name: True}))
