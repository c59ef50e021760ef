"""A key service, and chips of every product line, that sign for real whatever a test turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from enclaved.verifier.certificate import fingerprint
from enclaved.verifier.roots import AMD_GENOA, AMD_MILAN, AMD_TURIN, Roots
from enclaved.wire.attestation import Evidence
from simulation import NOON

__all__ = [
    "Certified",
    "Chip",
    "Link",
    "Service",
    "ark",
    "ask",
    "certify",
    "make_chip",
    "make_crl",
    "make_evidence",
    "make_report",
    "make_service",
    "pss",
    "vek",
]

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

DAY = timedelta(days=1)
AMD = "Advanced Micro Devices"
OID = "1.3.6.1.4.1.3704.1."
ROOT_NAMES = {"Milan": AMD_MILAN, "Genoa": AMD_GENOA, "Turin": AMD_TURIN}
CPUS = {"Milan": (0x19, 0x01, 1), "Genoa": (0x19, 0x11, 1), "Turin": (0x1A, 0x02, 1)}
PRODUCTS = {"Milan": "Milan-B0", "Genoa": "Genoa", "Turin": "Turin"}
OIDS = {"bootloader": "3.1", "tee": "3.2", "snp": "3.3", "microcode": "3.8", "fmc": "3.9"}
TCB = {"bootloader": 4, "tee": 1, "snp": 24, "microcode": 219}
BYTES = {"bootloader": 0, "tee": 1, "snp": 6, "microcode": 7}
TURIN_BYTES = {"fmc": 0, "bootloader": 1, "tee": 2, "snp": 3, "microcode": 7}
SIGNATURE = 0x2A0


def pss(digest: hashes.HashAlgorithm) -> padding.PSS:
    """Return the padding that AMD uses, with a digest."""
    return padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)


@dataclass(frozen=True, kw_only=True)
class Link:
    """How to make one certificate."""

    name: str
    organisation: str = AMD
    is_authority: bool | None = None
    usage: frozenset[str] | None = None
    start: datetime = NOON - DAY
    end: datetime = NOON + DAY
    digest: hashes.HashAlgorithm = field(default_factory=hashes.SHA384)
    scheme: padding.AsymmetricPadding | None = None
    extensions: Mapping[str, bytes] = field(default_factory=dict)
    serial_number: int | None = None
    critical: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Certified:
    """A certificate and its key."""

    certificate: x509.Certificate
    private_key: PrivateKey

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM)


@dataclass(frozen=True, kw_only=True)
class Service:
    """A key service for one product line: its root, and the authority below it."""

    line: str
    root: Certified
    authority: Certified

    @property
    def roots(self) -> Roots:
        """A table of roots that pins this one."""
        return Roots(fingerprints={ROOT_NAMES[self.line]: frozenset({fingerprint(self.root.certificate)})})


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A chip: its service, its identifier, and its certified key."""

    service: Service
    chip_id: bytes
    key: Certified


_RSA_KEYS = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]


def ark(line: str = "Milan", **turned: object) -> Link:
    """Return the recipe of a root."""
    usage = frozenset({"key_cert_sign", "crl_sign"})
    return replace(Link(name=f"ARK-{line}", is_authority=True, usage=usage), **turned)


def ask(line: str = "Milan", **turned: object) -> Link:
    """Return the recipe of an authority for VCEKs."""
    return replace(Link(name=f"SEV-{line}", is_authority=True, usage=frozenset({"key_cert_sign"})), **turned)


def vek(line: str = "Milan", *, chip_id: bytes = bytes(range(1, 65)), **turned: object) -> Link:
    """Return the recipe of a VCEK; an extension that is turned into ``...`` is left out."""
    components = TCB | ({"fmc": 2} if line == "Turin" else {})
    extensions = {
        "1": integer(1 if line == "Turin" else 0),
        "2": text(PRODUCTS[line]),
        **{OIDS[name]: integer(value) for name, value in components.items()},
        "3.5": integer(0),
        "4": chip_id[:8] if line == "Turin" else chip_id,
    } | turned.pop("extensions", {})
    present = {oid: value for oid, value in extensions.items() if value is not ...}
    return replace(Link(name="SEV-VCEK", extensions=present), **turned)


def integer(value: int) -> bytes:
    """Return a small number in DER."""
    return b"\x02\x01" + bytes((value,)) if value < 0x80 else b"\x02\x02\x00" + bytes((value,))


def text(value: str) -> bytes:
    """Return a text in DER."""
    return b"\x16" + bytes((len(value),)) + value.encode()


def certify(link: Link, issuer: Certified | None = None, *, key: PrivateKey | None = None) -> Certified:
    """Make a certificate under an issuer, or under itself; with a key on P-384 if there is an issuer."""
    private_key = key or (ec.generate_private_key(ec.SECP384R1()) if issuer else _RSA_KEYS[0])
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(link))
        .issuer_name(issuer.certificate.subject if issuer else _name(link))
        .public_key(private_key.public_key())
        .serial_number(link.serial_number or x509.random_serial_number())
        .not_valid_before(link.start)
        .not_valid_after(link.end)
    )
    if link.is_authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=link.is_authority, path_length=None), critical=True)
    if link.usage is not None:
        builder = builder.add_extension(_usage(link.usage), critical=True)
    for suffix, value in link.extensions.items():
        extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(OID + suffix), value)
        builder = builder.add_extension(extension, critical=suffix in link.critical)
    signer = issuer.private_key if issuer else private_key
    scheme = link.scheme or pss(link.digest)
    return Certified(
        certificate=builder.sign(signer, link.digest, rsa_padding=scheme if _is_rsa(signer) else None),
        private_key=private_key,
    )


def make_service(
    line: str = "Milan", *, root: Link | None = None, authority: Link | None = None, keys: list[PrivateKey] = _RSA_KEYS
) -> Service:
    """Return a key service, with its certificates turned."""
    certified = certify(root or ark(line), key=keys[0])
    return Service(line=line, root=certified, authority=certify(authority or ask(line), certified, key=keys[1]))


def make_chip(
    service: Service, link: Link | None = None, *, key: PrivateKey | None = None, chip_id: bytes | None = None
) -> Chip:
    """Return a chip under a service, with its certificate turned."""
    size = 8 if service.line == "Turin" else 64
    chip_id = bytes(range(1, size + 1)).ljust(64, b"\0") if chip_id is None else chip_id
    return Chip(
        service=service,
        chip_id=chip_id,
        key=certify(link or vek(service.line, chip_id=chip_id), service.authority, key=key),
    )


def make_report(chip: Chip, *, version: int = 3, turned: Mapping[int, bytes] | None = None) -> bytes:
    """Return a report that the chip signs, with bytes at some offsets turned before it signs."""
    line = chip.service.line
    tcb = tcb_bytes(line)
    report = bytearray(0x4A0)
    fields = {
        0x00: version.to_bytes(4, "little"),
        0x04: (7).to_bytes(4, "little"),
        0x08: (0x3001F).to_bytes(8, "little"),
        0x10: b"F" * 16,
        0x20: b"I" * 16,
        0x34: (1).to_bytes(4, "little"),
        0x38: tcb,
        0x40: (0x25).to_bytes(8, "little"),
        0x50: bytes(range(64)),
        0x90: b"M" * 48,
        0xC0: b"H" * 32,
        0xE0: b"K" * 48,
        0x110: b"A" * 48,
        0x140: b"R" * 32,
        0x160: b"\xff" * 32,
        0x180: tcb,
        0x188: bytes(CPUS[line]) if version >= 3 else b"",
        0x1A0: chip.chip_id,
        0x1E0: tcb,
        0x1E8: bytes((40, 55, 1)),
        0x1EC: bytes((40, 55, 1)),
        0x1F0: tcb,
        0x1F8: (0x3F).to_bytes(8, "little") if version >= 5 else b"",
        0x200: (0x0B).to_bytes(8, "little") if version >= 5 else b"",
    }
    for offset, value in (fields | dict(turned or {})).items():
        report[offset : offset + len(value)] = value
    return sign(bytes(report), chip.key)


def sign(report: bytes, signer: Certified) -> bytes:
    """Return a report with its signature made anew; what follows the signature stays."""
    assert isinstance(signer.private_key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(signer.private_key.sign(report[:SIGNATURE], ec.ECDSA(hashes.SHA384())))
    return report[:SIGNATURE] + r.to_bytes(72, "little") + s.to_bytes(72, "little") + report[SIGNATURE + 144 :]


def tcb_bytes(line: str, **turned: int) -> bytes:
    """Return the TCB version of every chip, with components turned."""
    layout = TURIN_BYTES if line == "Turin" else BYTES
    components = TCB | ({"fmc": 2} if line == "Turin" else {}) | turned
    raw = bytearray(8)
    for name, offset in layout.items():
        raw[offset] = components[name]
    return bytes(raw)


def make_crl(
    issuer: Certified,
    *revoked: Certified,
    start: datetime = NOON - DAY,
    end: datetime = NOON + DAY,
    digest: hashes.HashAlgorithm | None = None,
    scheme: padding.AsymmetricPadding | None = None,
    signer: Certified | None = None,
    extension: x509.ExtensionType | None = None,
) -> bytes:
    """Return a revocation list in DER."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(start)
        .next_update(end)
    )
    for certified in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certified.certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(start).build())
    if extension is not None:
        builder = builder.add_extension(extension, critical=True)
    digest = digest or hashes.SHA384()
    crl = builder.sign((signer or issuer).private_key, digest, rsa_padding=scheme or pss(digest))
    return crl.public_bytes(Encoding.DER)


def make_evidence(chip: Chip, report: bytes | None = None, *, vlek: bool = False, **files: bytes | None) -> Evidence:
    """Return evidence of a chip; a file's name has ``_`` for its dot, and None leaves it out."""
    endorsements = {
        "vlek.der" if vlek else "vcek.der": chip.key.der,
        "asvk.pem" if vlek else "ask.pem": chip.service.authority.pem,
        "ark.pem": chip.service.root.pem,
        "root.crl": make_crl(chip.service.root),
    } | {name.replace("_", "."): content for name, content in files.items()}
    return Evidence(
        format="sev-snp",
        report=make_report(chip) if report is None else report,
        endorsements={name: content for name, content in endorsements.items() if content is not None},
    )


def _is_rsa(key: PrivateKey) -> bool:
    return isinstance(key, rsa.RSAPrivateKey)


def _name(link: Link) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, link.organisation),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, link.name),
        ]
    )


def _usage(usages: frozenset[str]) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement "
        "key_cert_sign crl_sign encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: name in usages for name in names.split()})
