"""The certificates that a host gives with a report of SEV-SNP.

AMD publication 56421, "Guest Hypervisor Communication Block Standardization",
section 4.1.8.1: a table of GUIDs, offsets and lengths, then the certificates. The
host may give none, or anything at all: a table that does not hold together is
left out, as verifiers can get the certificates elsewhere and believe none of them.
"""

from __future__ import annotations

import base64

__all__ = ["certificate_files"]

_ENTRY = 24  # GUID, offset, length
_MOST = 16
_VCEK = bytes.fromhex("63da758de6644564adc5f4b93be8accd")
_VLEK = bytes.fromhex("a8074bc2a25a483eaae639c045a0b8a1")
_ASK = bytes.fromhex("4ab7b379bbac4fe4a02f05aef327c782")
_ARK = bytes.fromhex("c0b406a4a803495297433fb6014cd0ae")
_CRL = bytes.fromhex("92f81bc358114d3d97ffd19f88dc67ea")
_DER_SEQUENCE = b"\x30"
_LINE = 64


def certificate_files(table: bytes) -> dict[str, bytes]:
    """Return the certificates of a table as evidence carries them.

    Args:
        table: what the host gave; empty where it gave nothing.

    Returns:
        ``vcek.der``, ``ask.pem`` and ``ark.pem``, or ``vlek.der``, ``asvk.pem`` and ``ark.pem``, and
        ``ark.crl``: those that there are.
    """
    found = _entries(table)
    authority = "asvk.pem" if _VLEK in found and _VCEK not in found else "ask.pem"
    der = {"vcek.der": _VCEK, "vlek.der": _VLEK, "ark.crl": _CRL}
    pem = {authority: _ASK, "ark.pem": _ARK}
    return {name: found[guid] for name, guid in der.items() if guid in found} | {
        name: _pem(found[guid]) for name, guid in pem.items() if guid in found
    }


def _entries(table: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for start in range(0, _MOST * _ENTRY, _ENTRY):
        entry = table[start : start + _ENTRY]
        if len(entry) < _ENTRY or not any(entry):
            break
        offset, length = int.from_bytes(entry[16:20], "little"), int.from_bytes(entry[20:24], "little")
        contents = table[offset : offset + length]
        if len(contents) == length and contents.startswith(_DER_SEQUENCE):
            found[entry[:16]] = contents
    return found


def _pem(der: bytes) -> bytes:
    """Return a certificate in PEM (RFC 7468)."""
    text = base64.b64encode(der)
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])
