"""What AMD's and Intel's services say, made under test authorities that sign for real."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from simulation import NOON

__all__ = ["DAY", "Platform", "crl", "identity_body", "platform", "tcb_info_body", "without_next_update"]

DAY = timedelta(days=1)
FMSPC = bytes.fromhex("00806f05a000")
_SGX = x509.ObjectIdentifier("1.2.840.113741.1.13.1")
_FMSPC_OID = bytes.fromhex("060a2a864886f84d010d0104")


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A platform of Intel's with the authority above it, and a quote that holds its certificate.

    Attributes:
        quote: bytes with the certificate chain in them; nothing else of it is a quote's.
        chain: the authorities' certificates, in PEM.
        authority_key: signs lists.
        authority: its certificate.
    """

    quote: bytes
    chain: bytes
    authority: x509.Certificate
    authority_key: ec.EllipticCurvePrivateKey

    @property
    def header(self) -> str:
        """The chain as it travels in a header."""
        return quote(self.chain.decode())


def platform(
    *,
    authority: str = "Intel SGX PCK Platform CA",
    fmspc: bytes = FMSPC,
    extension: bytes | None = None,
    count: int = 1,
) -> Platform:
    """Return a platform with one thing turned; `count` certificates of it lie in its quote."""
    key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    above = _builder(authority, authority, key.public_key()).sign(key, hashes.SHA256())
    value = _fmspc(fmspc) if extension is None else extension
    leaf = _builder("Intel SGX PCK Certificate", authority, leaf_key.public_key())
    leaf = leaf.add_extension(x509.UnrecognizedExtension(_SGX, value), critical=False)
    certificate = leaf.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    chain = above.public_bytes(Encoding.PEM)
    return Platform(
        quote=b"\x04\x00" + bytes(700) + certificate * count + chain + bytes(200),
        chain=chain,
        authority=above,
        authority_key=key,
    )


def crl(key: ec.EllipticCurvePrivateKey, *, name: str = "list", ends: datetime = NOON + DAY) -> bytes:
    """Return a revocation list in DER that ends then."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(_name(name))
    builder = builder.last_update(NOON - 2 * DAY).next_update(ends)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def without_next_update(der: bytes) -> bytes:
    """Return a list that does not say until when it is the newest; its signature is no longer good."""
    signed = x509.load_der_x509_crl(der).tbs_certlist_bytes
    last = list(re.finditer(rb"\x17\x0d[0-9]{12}Z", signed))[-1]
    shorter = _sequence(_contents(signed[: last.start()] + signed[last.end() :]))
    return _sequence(shorter + der[der.index(signed) + len(signed) :])


def tcb_info_body(*, fmspc: bytes = FMSPC, ends: datetime = NOON + DAY) -> bytes:
    """Return TCB info as Intel words it, as far as a fetcher looks."""
    return _document("tcbInfo", {"id": "TDX", "fmspc": fmspc.hex().upper(), "nextUpdate": _time(ends)})


def identity_body(*, ends: datetime = NOON + DAY) -> bytes:
    """Return a quoting enclave's identity, likewise."""
    return _document("enclaveIdentity", {"id": "TD_QE", "nextUpdate": _time(ends)})


def _document(key: str, body: dict[str, str]) -> bytes:
    return json.dumps({key: body, "signature": "00"}).encode()


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _fmspc(value: bytes) -> bytes:
    inner = _FMSPC_OID + bytes((4, len(value))) + value
    pair = bytes((0x30, len(inner))) + inner
    return bytes((0x30, len(pair))) + pair


def _contents(element: bytes) -> bytes:
    return element[3:] if element[1] == 0x81 else element[2:]


def _sequence(contents: bytes) -> bytes:
    return (
        b"\x30" + bytes((len(contents),)) if len(contents) < 0x80 else bytes((0x30, 0x81, len(contents)))
    ) + contents


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _builder(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOON - 30 * DAY)
        .not_valid_after(NOON + 30 * DAY)
    )
