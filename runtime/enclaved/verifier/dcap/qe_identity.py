"""The quoting enclave: which enclave of Intel's may make attestation keys, and is this one of them.

Intel, "Provisioning Certification Service API", "Get SGX QE Identity" and "Get
TDX QE Identity", version 2 of the document.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import msgspec

from enclaved.verifier.checks import Checks
from enclaved.verifier.dcap.quote import Tee
from enclaved.verifier.dcap.sgx_report import SgxReport
from enclaved.verifier.dcap.signed_document import UnknownVersionError
from enclaved.verifier.dcap.tcb_status import PART_STATUSES, TcbStatus, TcbVerdict

__all__ = ["QeIdentity", "check_identity", "parse_qe_identity", "qe_verdict"]

_VERSION = 2
_REMEMBERED = 16  # documents, each a kilobyte
_IDS = {Tee.SGX: "QE", Tee.TDX: "TD_QE"}


class _Svn(msgspec.Struct, frozen=True):
    isvsvn: int


class _Level(msgspec.Struct, frozen=True, rename="camel"):
    tcb: _Svn
    tcb_status: str
    advisory_ids: tuple[str, ...] = msgspec.field(default=(), name="advisoryIDs")


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    issue_date: str
    next_update: str
    tcb_evaluation_data_number: int
    miscselect: str
    miscselect_mask: str
    attributes: str
    attributes_mask: str
    mrsigner: str
    isvprodid: int
    tcb_levels: tuple[_Level, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QeIdentity:
    """What a quoting enclave has to be, the signature verified by whoever reads it.

    Attributes:
        id: ``QE`` for SGX, ``TD_QE`` for TDX.
        issue_date: since when it is in force, as text.
        next_update: until when, as text.
        evaluation_number: the number of Intel's evaluation.
        misc_select: value and mask.
        attributes: value and mask.
        mr_signer: its signer.
        isv_prod_id: its product number.
        levels: least SVN and the verdict on it, newest first.
    """

    id: str
    issue_date: str
    next_update: str
    evaluation_number: int
    misc_select: tuple[int, int]
    attributes: tuple[int, int]
    mr_signer: bytes
    isv_prod_id: int
    levels: tuple[tuple[int, TcbVerdict], ...]


@lru_cache(maxsize=_REMEMBERED)
def parse_qe_identity(body: bytes) -> QeIdentity:
    """Return what a document says; the same one serves all platforms for days, so it is remembered.

    Args:
        body: the signed bytes, their signature verified.

    Raises:
        ValueError: it is of another shape; `UnknownVersionError` if it is of another version.
        msgspec.MsgspecError: it is no JSON of that shape.
    """
    fields = msgspec.json.decode(body, type=dict[str, object])
    if fields.get("version") != _VERSION:
        raise UnknownVersionError(fields.get("version"))
    return _read(msgspec.convert(fields, _Document))


def check_identity(report: SgxReport, identity: QeIdentity, tee: Tee, checks: Checks) -> None:
    """Check that a report is that of the quoting enclave: any other enclave could make up attestation keys.

    Args:
        report: its report, whose signature is verified.
        identity: what it has to be.
        tee: what it quotes.
        checks: the record.

    Raises:
        EvidenceError: it is of another enclave; the code is ``"not_authentic"``.
    """
    checks.equal("qe identity: id", found=identity.id, wanted=_IDS[tee])
    checks.equal("qe identity: mr_signer", found=report.mr_signer, wanted=identity.mr_signer)
    checks.equal("qe identity: isv_prod_id", found=report.isv_prod_id, wanted=identity.isv_prod_id)
    value, mask = identity.misc_select
    misc_select = int.from_bytes(report.misc_select, "big")
    checks.equal("qe identity: misc_select", found=misc_select & mask, wanted=value & mask)
    value, mask = identity.attributes
    attributes = int.from_bytes(report.attributes, "big")
    checks.equal("qe identity: attributes", found=attributes & mask, wanted=value & mask)


def qe_verdict(identity: QeIdentity, isv_svn: int, checks: Checks) -> TcbVerdict:
    """Return the verdict on a quoting enclave's SVN.

    Raises:
        EvidenceError: it reaches no level; the code is ``"not_authentic"``.
    """
    for least, verdict in identity.levels:
        if isv_svn >= least:
            return verdict
    raise checks.not_authentic("qe level", found=isv_svn, wanted="one of Intel's")


def _read(document: _Document) -> QeIdentity:
    return QeIdentity(
        id=document.id,
        issue_date=document.issue_date,
        next_update=document.next_update,
        evaluation_number=document.tcb_evaluation_data_number,
        # Both are written as the bytes stand in memory, and compared so.
        misc_select=(_hex(document.miscselect, 4), _hex(document.miscselect_mask, 4)),
        attributes=(_hex(document.attributes, 16), _hex(document.attributes_mask, 16)),
        mr_signer=_hex(document.mrsigner, 32).to_bytes(32, "big"),
        isv_prod_id=document.isvprodid,
        levels=tuple(_level(level) for level in document.tcb_levels),
    )


def _level(level: _Level) -> tuple[int, TcbVerdict]:
    if level.tcb_status not in PART_STATUSES:
        raise ValueError(f"an unknown status {level.tcb_status[:32]!r}")
    return level.tcb.isvsvn, TcbVerdict(status=TcbStatus(level.tcb_status), advisories=level.advisory_ids)


def _hex(text: str, size: int) -> int:
    value = bytes.fromhex(text)
    if len(value) != size or len(text) != 2 * size:
        raise ValueError(f"{text[:40]!r} where {size} bytes in hex belong")
    return int.from_bytes(value, "big")
