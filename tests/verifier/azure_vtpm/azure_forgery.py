"""A confidential VM of Azure that signs for real: a paravisor's report on forged chips, and its virtual TPM."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import rsa
from enclaved.wire.attestation import Evidence
from snp_forgery import Chip, make_chip, make_crl, make_report, make_service
from tpm_forgery import RSA, Quote, key_pem, pcrs_json, sign

__all__ = ["CHIP", "SERVICE", "hcl_report", "make_evidence", "runtime_data"]

SERVICE = make_service()
CHIP = make_chip(SERVICE)
CONFIGURATION = {"console-enabled": True, "secure-boot": True, "tpm-enabled": True, "vmUniqueId": "VM-1"}


def runtime_data(
    key: rsa.RSAPrivateKey | rsa.RSAPublicKey = RSA, *, keys: list[object] | None = None, **turned: object
) -> bytes:
    """Return the paravisor's JSON with one attestation key, or with other keys, with names turned."""
    document = {
        "keys": [jwk(key), jwk(key, kid="HCLEkPub")] if keys is None else keys,
        "vm-configuration": CONFIGURATION,
        "user-data": "00" * 64,
    } | {name.replace("_", "-"): value for name, value in turned.items()}
    present = {name: value for name, value in document.items() if value is not ...}
    return json.dumps(present, separators=(",", ":")).encode()


def jwk(
    key: rsa.RSAPrivateKey | rsa.RSAPublicKey = RSA, *, kid: str = "HCLAkPub", **turned: object
) -> dict[str, object]:
    """Return a JSON Web Key."""
    numbers = (key.public_key() if isinstance(key, rsa.RSAPrivateKey) else key).public_numbers()
    n, e = (base64.urlsafe_b64encode(x.to_bytes((x.bit_length() + 7) // 8, "big")) for x in (numbers.n, numbers.e))
    return {"kid": kid, "key_ops": ["sign"], "kty": "RSA", "n": n.rstrip(b"=").decode(), "e": e.decode()} | turned


def snp_report(data: bytes, *, chip: Chip = CHIP, turned: Mapping[int, bytes] | None = None) -> bytes:
    """Return a chip's report over the hash of runtime data, with bytes turned before it signs."""
    bound = hashlib.sha256(data).digest().ljust(64, b"\0")
    return make_report(chip, turned={0x50: bound} | dict(turned or {}))


def hcl_report(
    data: bytes, hardware: bytes, *, kind: int = 2, turned: Mapping[int, bytes] | None = None, size: int = 2600
) -> bytes:
    """Return the paravisor's report, with bytes at some offsets turned."""
    report = bytearray(size)
    fields = {
        0x00: b"HCLA",
        0x04: (2).to_bytes(4, "little"),
        0x08: (0x4D4 + len(data)).to_bytes(4, "little"),
        0x0C: (2).to_bytes(4, "little"),
        0x20: hardware,
        0x4C0: (len(data) + 20).to_bytes(4, "little"),
        0x4C4: (1).to_bytes(4, "little"),
        0x4C8: kind.to_bytes(4, "little"),
        0x4CC: (1).to_bytes(4, "little"),
        0x4D0: len(data).to_bytes(4, "little"),
        0x4D4: data,
    }
    for offset, value in (fields | dict(turned or {})).items():
        report[offset : offset + len(value)] = value
    return bytes(report)


def make_evidence(report: bytes | None = None, *, quote: Quote | None = None, **files: bytes | None) -> Evidence:
    """Return evidence on SEV-SNP; a file's name has ``__`` for its dots, and None leaves it out."""
    quote = quote or Quote()
    data = runtime_data()
    endorsements = {
        "tpm_quote.msg": quote.encoded,
        "tpm_quote.sig": sign(RSA, quote.encoded),
        "tpm_quote.pcrs.json": pcrs_json(quote.pcrs),
        "ak_pub.pem": key_pem(RSA),
        "vcek.der": CHIP.key.der,
        "ask.pem": SERVICE.authority.pem,
        "ark.pem": SERVICE.root.pem,
        "ark.crl": make_crl(SERVICE.root),
    } | {name.replace("__", "."): contents for name, contents in files.items()}
    return Evidence(
        format="azure-vtpm",
        report=hcl_report(data, snp_report(data)) if report is None else report,
        endorsements={name: contents for name, contents in endorsements.items() if contents is not None},
    )
