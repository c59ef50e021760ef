"""The attestation report of AMD SEV-SNP, as bytes become a typed value.

Layout: AMD publication 56860, "SEV Secure Nested Paging Firmware ABI
Specification", section 7.3, table "ATTESTATION_REPORT Structure" (revisions 1.51
for version 2, 1.56 for 3 and 4, 1.58 for 5). All numbers are little-endian.
Whether the reserved fields are zero is a step of its own: a byte that nobody
reads could otherwise mean something to a later firmware.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from enclaved.verifier.checks import Checks

__all__ = ["Cpu", "FirmwareVersion", "SigningKey", "SnpReport", "check_reserved", "check_signing_key", "read_report"]

_SIZE = 0x4A0
_VERSIONS = range(2, 6)
_SIGNED = 0x2A0  # ATTESTATION_REPORT.SIGNATURE begins here; the signature covers all bytes before it
_NUMBER_SIZE = 0x48  # R and S, table "Format for an ECDSA P-384 Signature"
_SIGNATURE_END = _SIGNED + 2 * _NUMBER_SIZE
_ECDSA_P384_SHA384 = 1  # table "Encodings for the SIGNATURE_ALGO Field"
_SIGNER_INFO_KNOWN = 0x1F
_POLICY_ALWAYS = 1 << 17  # table "Guest Policy Structure": reserved, must be one
_POLICY_KNOWN = (1 << 26) - 1


class SigningKey(StrEnum):
    """Which key signed the report: bits 4:2 of SIGNER_INFO."""

    VCEK = "vcek"
    VLEK = "vlek"
    NONE = "none"
    """Nobody signed it, or it is a kind that is reserved."""


_SIGNING_KEYS = {0: SigningKey.VCEK, 1: SigningKey.VLEK}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """What CPUID says of the processor; in reports since version 3."""

    family: int
    model: int
    stepping: int


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class FirmwareVersion:
    """A version of the SEV firmware, in the order in which versions follow each other."""

    major: int
    minor: int
    build: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SnpReport:
    """A report, not yet verified; the fields have AMD's names, and `raw` is the whole of it."""

    raw: bytes
    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    signature_algo: int
    current_tcb: bytes
    platform_info: int
    signer_info: int
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: bytes
    cpu: Cpu | None
    chip_id: bytes
    committed_tcb: bytes
    current_version: FirmwareVersion
    committed_version: FirmwareVersion
    launch_tcb: bytes
    launch_mit_vector: int | None
    current_mit_vector: int | None

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers."""
        return self.raw[:_SIGNED]

    @property
    def signature(self) -> tuple[int, int]:
        """R and S, each 72 bytes little-endian."""
        r, s = self.raw[_SIGNED : _SIGNED + _NUMBER_SIZE], self.raw[_SIGNED + _NUMBER_SIZE : _SIGNATURE_END]
        return int.from_bytes(r, "little"), int.from_bytes(s, "little")

    @property
    def signing_key(self) -> SigningKey:
        """Which kind of key signed it, by its own account."""
        return _SIGNING_KEYS.get(self.signer_info >> 2 & 0b111, SigningKey.NONE)

    @property
    def author_key_en(self) -> bool:
        """Is there an author key: bit 0 of SIGNER_INFO."""
        return bool(self.signer_info & 1)

    @property
    def mask_chip_key(self) -> bool:
        """Does the host keep its chips' keys from guests: bit 1 of SIGNER_INFO."""
        return bool(self.signer_info >> 1 & 1)


def read_report(data: bytes, checks: Checks) -> SnpReport:
    """Return the report that the bytes hold.

    Args:
        data: the file's bytes.
        checks: the record.

    Returns:
        The report; nothing in it is verified.

    Raises:
        EvidenceError: it has another size (``"unreadable"``) or another version (``"unsupported"``).
    """
    if len(data) != _SIZE:
        raise checks.unreadable("report", found=f"{len(data)} bytes", wanted=f"{_SIZE} bytes")
    version = _number(data, 0x00, 4)
    if version not in _VERSIONS:
        raise checks.unsupported("version", found=version, wanted="2 to 5")
    return SnpReport(
        raw=data,
        version=version,
        guest_svn=_number(data, 0x04, 4),
        policy=_number(data, 0x08, 8),
        family_id=data[0x10:0x20],
        image_id=data[0x20:0x30],
        vmpl=_number(data, 0x30, 4),
        signature_algo=_number(data, 0x34, 4),
        current_tcb=data[0x38:0x40],
        platform_info=_number(data, 0x40, 8),
        signer_info=_number(data, 0x48, 4),
        report_data=data[0x50:0x90],
        measurement=data[0x90:0xC0],
        host_data=data[0xC0:0xE0],
        id_key_digest=data[0xE0:0x110],
        author_key_digest=data[0x110:0x140],
        report_id=data[0x140:0x160],
        report_id_ma=data[0x160:0x180],
        reported_tcb=data[0x180:0x188],
        cpu=Cpu(family=data[0x188], model=data[0x189], stepping=data[0x18A]) if version >= 3 else None,
        chip_id=data[0x1A0:0x1E0],
        committed_tcb=data[0x1E0:0x1E8],
        current_version=FirmwareVersion(build=data[0x1E8], minor=data[0x1E9], major=data[0x1EA]),
        committed_version=FirmwareVersion(build=data[0x1EC], minor=data[0x1ED], major=data[0x1EE]),
        launch_tcb=data[0x1F0:0x1F8],
        launch_mit_vector=_number(data, 0x1F8, 8) if version >= 5 else None,
        current_mit_vector=_number(data, 0x200, 8) if version >= 5 else None,
    )


def check_reserved(report: SnpReport, checks: Checks) -> None:
    """Check the fields that have one value: reserved ones, policy bit 17, the signature's algorithm.

    Args:
        report: the report.
        checks: the record.

    Raises:
        EvidenceError: one has another value (``"not_authentic"``), or the guest's policy has a bit
            that is not known here and could give the host more than the known ones (``"unsupported"``).
    """
    filled = [f"0x{start:x}" for start, end in _reserved(report.version) if any(report.raw[start:end])]
    checks.authentic("reserved fields", found=filled, wanted="all zero", ok=not filled)
    checks.equal("reserved bits of signer_info", found=report.signer_info & ~_SIGNER_INFO_KNOWN, wanted=0)
    checks.equal("policy bit 17", found=report.policy & _POLICY_ALWAYS, wanted=_POLICY_ALWAYS)
    if report.policy & ~_POLICY_KNOWN:
        raise checks.unsupported("policy", found=f"0x{report.policy:x}", wanted="no bit above 25")
    checks.equal("signature_algo", found=report.signature_algo, wanted=_ECDSA_P384_SHA384)


def check_signing_key(report: SnpReport, checks: Checks) -> None:
    """Check that the report is signed by a kind of key that AMD vouches for.

    Args:
        report: the report.
        checks: the record.

    Raises:
        EvidenceError: it is signed by no key, or by an unknown kind.
    """
    checks.authentic(
        "signing_key", found=report.signing_key, wanted="vcek or vlek", ok=report.signing_key is not SigningKey.NONE
    )


def _reserved(version: int) -> tuple[tuple[int, int], ...]:
    return (
        (0x4C, 0x50),
        (0x18B if version >= 3 else 0x188, 0x1A0),
        (0x1EB, 0x1EC),
        (0x1EF, 0x1F0),
        (0x208 if version >= 5 else 0x1F8, _SIGNED),
        (_SIGNATURE_END, _SIZE),
    )


def _number(data: bytes, offset: int, size: int) -> int:
    return int.from_bytes(data[offset : offset + size], "little")
