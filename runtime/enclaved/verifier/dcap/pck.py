"""The PCK: the key of one platform that vouches for its quoting enclave, and what Intel's certificate says of it.

Intel, "SGX PCK Certificate and Certificate Revocation List Profile
Specification", section 1.3.5: the extension states the platform's family, its
SVNs, and how the platform was set up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509

from enclaved.verifier.checks import Checks
from enclaved.verifier.dcap.der import OBJECT_IDENTIFIER, SEQUENCE, elements, one_element, small_number

__all__ = ["Pck", "has_sgx_extension", "read_pck"]

_EXTENSION = x509.ObjectIdentifier("1.2.840.113741.1.13.1")
_PREFIX = bytes.fromhex("2a864886f84d010d01")  # the same, as DER encodes it
_PPID, _TCB, _PCE_ID, _FMSPC, _SGX_TYPE, _PLATFORM_INSTANCE_ID, _CONFIGURATION = range(1, 8)
_PCE_SVN, _CPU_SVN = 17, 18
_COMPONENTS = range(1, 17)
_OCTET_STRING, _ENUMERATED, _BOOLEAN = 0x04, 0x0A, 0x01
_FLAGS = {1: "dynamic_platform", 2: "cached_keys", 3: "smt_enabled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pck:
    """What a PCK's certificate says of its platform.

    Attributes:
        certificate: the certificate.
        ppid: the platform's identifier, 16 bytes.
        components: 16 SVNs of the processor's parts.
        pce_svn: SVN of the provisioning certification enclave.
        pce_id: its identifier, 2 bytes.
        fmspc: family, model, stepping, platform type and custom SKU, 6 bytes.
        platform_instance_id: identifier of a multi-package platform, 16 bytes; None on others.
        configuration: how the platform was set up, by name; empty where the certificate does not say.
    """

    certificate: x509.Certificate
    ppid: bytes
    components: tuple[int, ...]
    pce_svn: int
    pce_id: bytes
    fmspc: bytes
    platform_instance_id: bytes | None
    configuration: Mapping[str, bool]


def has_sgx_extension(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate is a PCK's: no other of Intel's has this extension."""
    return any(extension.oid == _EXTENSION for extension in certificate.extensions)


def read_pck(certificate: x509.Certificate, checks: Checks) -> Pck:
    """Return what a certificate says of its platform.

    Args:
        certificate: the certificate, parsed and not yet verified.
        checks: the record.

    Raises:
        EvidenceError: the extension is missing or does not parse; the code is ``"unreadable"``.
    """
    try:
        return _read(certificate)
    except (KeyError, ValueError) as error:
        raise checks.unreadable("pck extension", found=str(error), wanted="Intel's extension of a PCK") from error


def _read(certificate: x509.Certificate) -> Pck:
    value = next((e.value for e in certificate.extensions if e.oid == _EXTENSION), None)
    if not isinstance(value, x509.UnrecognizedExtension):
        raise KeyError("no such extension")
    fields = _fields(one_element(value.value, SEQUENCE), _PREFIX)
    tcb = _fields(_contents(fields[_TCB], SEQUENCE), _PREFIX + bytes((_TCB,)))
    configuration = (
        _fields(_contents(fields[_CONFIGURATION], SEQUENCE), _PREFIX + bytes((_CONFIGURATION,)))
        if (_CONFIGURATION in fields)
        else {}
    )
    _sized(fields[_SGX_TYPE], 1, _ENUMERATED)
    _sized(tcb[_CPU_SVN], 16)
    return Pck(
        certificate=certificate,
        ppid=_sized(fields[_PPID], 16),
        components=tuple(small_number(*tcb[number], most=0xFF) for number in _COMPONENTS),
        pce_svn=small_number(*tcb[_PCE_SVN], most=0xFFFF),
        pce_id=_sized(fields[_PCE_ID], 2),
        fmspc=_sized(fields[_FMSPC], 6),
        platform_instance_id=(_sized(fields[_PLATFORM_INSTANCE_ID], 16) if _PLATFORM_INSTANCE_ID in fields else None),
        configuration={
            name: _flag(configuration[number]) for number, name in _FLAGS.items() if number in configuration
        },
    )


def _fields(data: bytes, prefix: bytes) -> dict[int, tuple[int, bytes]]:
    """Return tag and contents by the last number of the object identifier, each number once."""
    found: dict[int, tuple[int, bytes]] = {}
    for tag, contents in elements(data):
        if tag != SEQUENCE:
            raise ValueError(f"tag {tag:#04x} where a pair belongs")
        (oid_tag, oid), value = elements(contents)
        number = oid[-1] if oid_tag == OBJECT_IDENTIFIER and oid[:-1] == prefix else None
        if number is None or number in found:
            raise ValueError(f"{oid.hex()} is of another extension, or there twice")
        found[number] = value
    return found


def _contents(element: tuple[int, bytes], tag: int) -> bytes:
    if element[0] != tag:
        raise ValueError(f"tag {element[0]:#04x} where {tag:#04x} belongs")
    return element[1]


def _sized(element: tuple[int, bytes], size: int, tag: int = _OCTET_STRING) -> bytes:
    contents = _contents(element, tag)
    if len(contents) != size:
        raise ValueError(f"{len(contents)} bytes where {size} belong")
    return contents


def _flag(element: tuple[int, bytes]) -> bool:
    contents = _sized(element, 1, _BOOLEAN)
    if contents not in (b"\x00", b"\xff"):
        raise ValueError(f"{contents.hex()} where a truth value belongs")
    return contents == b"\xff"
