"""The HCL report: what the paravisor leaves in non-volatile memory, index 0x01400001.

Microsoft, "Guest attestation for confidential VMs", section "HCL report", and
openhcl's ``igvm_attest`` definitions: a header of 32 bytes, the hardware's report
in 1184 bytes, then the size and kind of the runtime data, and the runtime data
itself as JSON. Numbers are little-endian. The paravisor runs below the guest's
operating system, and hands it the file padded with zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from enclaved.verifier.checks import Checks

__all__ = ["Hardware", "HclReport", "read_hcl_report"]

_MAGIC = b"HCLA"
_HARDWARE = 0x20
_RUNTIME_HEADER = 0x4C0
_RUNTIME = 0x4D4
_VERSIONS = (1, 2)
_REQUEST = 2  # an attestation for the guest
_SHA256 = 1


class Hardware(StrEnum):
    """What protects the virtual machine, by the name of its own evidence format."""

    SEV_SNP = "sev-snp"
    TDX = "tdx"


_HARDWARES = {2: Hardware.SEV_SNP, 4: Hardware.TDX}
_SIZES = {Hardware.SEV_SNP: 1184, Hardware.TDX: 1024}


@dataclass(frozen=True, slots=True, kw_only=True)
class HclReport:
    """An HCL report, not yet verified.

    Attributes:
        hardware: what the hardware is.
        hardware_report: its report: of SEV-SNP signed, of TDX one that only the same machine can check.
        runtime_data: the JSON, exactly as it was stored and hashed.
    """

    hardware: Hardware
    hardware_report: bytes
    runtime_data: bytes


def read_hcl_report(data: bytes, checks: Checks) -> HclReport:
    """Return the HCL report that the bytes hold.

    Args:
        data: the file's bytes.
        checks: the record.

    Returns:
        The report; nothing in it is verified.

    Raises:
        EvidenceError: it has another shape (``"unreadable"``), or is of another version, hardware or
            hash (``"unsupported"``).
    """
    if len(data) < _RUNTIME or not data.startswith(_MAGIC):
        raise checks.unreadable("hcl report", found=f"{len(data)} bytes, {data[:4].hex()}", wanted="an HCL report")
    version, size, request = _number(data, 0x04), _number(data, 0x08), _number(data, 0x0C)
    kind, hashed = _number(data, _RUNTIME_HEADER + 8), _number(data, _RUNTIME_HEADER + 12)
    if version not in _VERSIONS or request != _REQUEST or kind not in _HARDWARES or hashed != _SHA256:
        raise checks.unsupported(
            "hcl report",
            found=f"version {version}, request {request}, report type {kind}, hash type {hashed}",
            wanted="version 1 or 2, request 2, report type 2 or 4, hash type 1",
        )
    hardware = _HARDWARES[kind]
    length = _number(data, _RUNTIME_HEADER + 16)
    end = _RUNTIME + length
    hardware_end = _HARDWARE + _SIZES[hardware]
    sizes = (size, _number(data, _RUNTIME_HEADER), _number(data, _RUNTIME_HEADER + 4))
    if end > len(data) or sizes != (end, length + _RUNTIME - _RUNTIME_HEADER, 1):
        raise checks.unreadable("hcl report", found=f"sizes and version {sizes}", wanted=f"{length} bytes of JSON")
    if any(data[0x10:_HARDWARE]) or any(data[hardware_end:_RUNTIME_HEADER]) or any(data[end:]):
        raise checks.unreadable("hcl report", found="bytes in the padding", wanted="zeros")
    return HclReport(hardware=hardware, hardware_report=data[_HARDWARE:hardware_end], runtime_data=data[_RUNTIME:end])


def _number(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")
