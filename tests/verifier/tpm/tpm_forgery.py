"""A TPM that quotes for real whatever a test turns, and an authority that certifies its key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from enclaved.wire.attestation import Evidence
from simulation import NOON

__all__ = [
    "EC256",
    "EC384",
    "IDS",
    "PCRS",
    "RSA",
    "Link",
    "Quote",
    "chain",
    "event_log",
    "key_pem",
    "make_evidence",
    "pcrs_json",
    "sign",
    "tpmt",
]

PrivateKey: TypeAlias = "rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey"

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC256 = ec.generate_private_key(ec.SECP256R1())
EC384 = ec.generate_private_key(ec.SECP384R1())
IDS = {"sha1": 0x0004, "sha256": 0x000B, "sha384": 0x000C, "sha512": 0x000D}
DIGESTS: Mapping[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),  # noqa: S303 - it has to be refused
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
PCRS = {index: hashlib.sha256(bytes((index,))).digest() for index in range(10)} | {13: bytes(32)}
_DAY = timedelta(days=1)


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


@dataclass(frozen=True, kw_only=True)
class Quote:
    """A quote's fields; the defaults make a good one over `PCRS`."""

    magic: bytes = bytes.fromhex("ff544347")
    type: bytes = bytes.fromhex("8018")
    signer: bytes = bytes.fromhex("000b") + bytes(32)
    extra_data: bytes = bytes(range(32))
    clock: int = 1234
    reset_count: int = 5
    restart_count: int = 6
    safe: int = 1
    firmware_version: bytes = bytes.fromhex("2020031200120003")
    bank: str = "sha256"
    pcrs: Mapping[int, bytes] = field(default_factory=lambda: PCRS)
    scheme: str = "sha256"
    selection: bytes | None = None
    pcr_digest: bytes | None = None
    trailing: bytes = b""

    @property
    def encoded(self) -> bytes:
        """TPMS_ATTEST."""
        digest = self.pcr_digest
        if digest is None:
            values = b"".join(self.pcrs[index] for index in sorted(self.pcrs))
            digest = hashlib.new(self.scheme, values).digest()
        return b"".join(
            (
                self.magic,
                self.type,
                _sized(self.signer),
                _sized(self.extra_data),
                self.clock.to_bytes(8, "big"),
                self.reset_count.to_bytes(4, "big"),
                self.restart_count.to_bytes(4, "big"),
                bytes((self.safe,)),
                self.firmware_version,
                selection((self.bank, self.pcrs)) if self.selection is None else self.selection,
                _sized(digest),
                self.trailing,
            )
        )


def selection(*banks: tuple[str, Mapping[int, bytes] | Sequence[int]]) -> bytes:
    """Return TPML_PCR_SELECTION."""
    encoded = len(banks).to_bytes(4, "big")
    for bank, indices in banks:
        bits = sum(1 << index for index in indices)
        encoded += IDS.get(bank, 0x7777).to_bytes(2, "big") + b"\x03" + bits.to_bytes(3, "little")
    return encoded


def sign(key: PrivateKey, data: bytes, scheme: str = "sha256") -> bytes:
    """Return a bare signature."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), DIGESTS[scheme])
    return key.sign(data, ec.ECDSA(DIGESTS[scheme]))


def tpmt(key: PrivateKey, bare: bytes, scheme: str = "sha256") -> bytes:
    """Return a signature in a TPM's own envelope."""
    digest = IDS[scheme].to_bytes(2, "big")
    if isinstance(key, rsa.RSAPrivateKey):
        return bytes.fromhex("0014") + digest + _sized(bare)
    size = (key.key_size + 7) // 8
    r, s = (number.to_bytes(size, "big") for number in decode_dss_signature(bare))
    return bytes.fromhex("0018") + digest + _sized(r) + _sized(s)


def key_pem(key: PrivateKey) -> bytes:
    """Return the public half in PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def pcrs_json(pcrs: Mapping[int, bytes] = PCRS) -> bytes:
    """Return PCR values as a list."""
    return json.dumps([pcrs[index].hex() for index in sorted(pcrs)]).encode()


def make_evidence(
    quote: Quote | None = None, *, key: PrivateKey = EC256, enveloped: bool = True, **files: bytes | None
) -> Evidence:
    """Return evidence of a TPM; a file's name has ``__`` for its dot, and None leaves it out."""
    quote = quote or Quote()
    bare = sign(key, quote.encoded, quote.scheme)
    endorsements = {
        "quote.sig": tpmt(key, bare, quote.scheme) if enveloped else bare,
        "pcrs.json": pcrs_json(quote.pcrs),
        "ak_pub.pem": key_pem(key),
    } | {name.replace("__", "."): contents for name, contents in files.items()}
    return Evidence(
        format="tpm",
        report=quote.encoded,
        endorsements={name: contents for name, contents in endorsements.items() if contents is not None},
    )


@dataclass(frozen=True, kw_only=True)
class Link:
    """How to make one certificate; the defaults make a good one for an attestation key."""

    name: str = "attestation key"
    is_authority: bool | None = False
    usage: str | None = "digital_signature"
    extended: str | None = "2.23.133.8.3"
    start: datetime = NOON - _DAY
    end: datetime = NOON + _DAY
    unknown_critical: bool = False
    key: PrivateKey = EC256


_ROOT_KEY = ec.generate_private_key(ec.SECP384R1())
ROOT = Link(name="root", is_authority=True, usage="key_cert_sign", extended=None, key=_ROOT_KEY)


def chain(leaf: Link | None = None, root: Link = ROOT, *, order: int = 1, **turned: object) -> bytes:
    """Return the certificates of an attestation key in PEM, its own first, with the leaf's fields turned."""
    leaf = replace(leaf or Link(), **turned)
    certificates = [_certify(leaf, root), _certify(root, root)][::order]
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def _certify(link: Link, issuer: Link) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(link))
        .issuer_name(_name(issuer))
        .public_key(link.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(link.start)
        .not_valid_after(link.end)
    )
    if link.is_authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=link.is_authority, path_length=None), critical=True)
    if link.usage is not None:
        names = (
            "digital_signature content_commitment key_encipherment data_encipherment key_agreement "
            "key_cert_sign crl_sign encipher_only decipher_only"
        )
        usage = x509.KeyUsage(**{name: name == link.usage for name in names.split()})
        builder = builder.add_extension(usage, critical=True)
    if link.extended is not None:
        purposes = x509.ExtendedKeyUsage([x509.ObjectIdentifier(link.extended)])
        builder = builder.add_extension(purposes, critical=True)
    if link.unknown_critical:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
        builder = builder.add_extension(unknown, critical=True)
    return builder.sign(issuer.key, hashes.SHA384())


def _name(link: Link) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, link.name)])


def event_log(
    *events: tuple[int, int, bytes], banks: Sequence[str] = ("sha1", "sha256"), signature: bytes = b"Spec ID Event03\0"
) -> tuple[bytes, dict[int, bytes]]:
    """Return a log of events (PCR, type, data), and what the SHA-256 bank holds after them."""
    sizes = {bank: hashlib.new(bank).digest_size for bank in banks}
    header = signature + bytes(4) + bytes((0, 2, 0, 2)) + len(banks).to_bytes(4, "little")
    header += b"".join(IDS[bank].to_bytes(2, "little") + sizes[bank].to_bytes(2, "little") for bank in banks) + b"\0"
    log = bytes(4) + (3).to_bytes(4, "little") + bytes(20) + len(header).to_bytes(4, "little") + header
    pcrs: dict[int, bytes] = {}
    for index, kind, data in events:
        log += index.to_bytes(4, "little") + kind.to_bytes(4, "little") + len(banks).to_bytes(4, "little")
        for bank in banks:
            digest = bytes(sizes[bank]) if kind == 3 else hashlib.new(bank, data).digest()
            log += IDS[bank].to_bytes(2, "little") + digest
        log += len(data).to_bytes(4, "little") + data
        if kind == 3 and data.startswith(b"StartupLocality\0"):
            pcrs[0] = data[-1].to_bytes(32, "big")
        elif kind != 3:
            digest = hashlib.sha256(data).digest()
            pcrs[index] = hashlib.sha256(pcrs.get(index, bytes(32)) + digest).digest()
    return log, pcrs
