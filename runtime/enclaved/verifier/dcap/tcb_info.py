"""TCB information: which combinations of SVNs of one platform family Intel holds to be what.

Intel, "Provisioning Certification Service API", "Get TCB Info", version 3 of the
document (API 4) and version 2 (API 3, SGX only; its components have names in
place of positions). Levels are sorted, newest first; the first that the platform
reaches in every component is its own. A platform that reaches none has no status
at all, and that is not "out of date".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from enclaved.verifier.checks import Checks
from enclaved.verifier.dcap.quote import Tee
from enclaved.verifier.dcap.signed_document import UnknownVersionError
from enclaved.verifier.dcap.tcb_status import PART_STATUSES, TcbStatus, TcbVerdict

__all__ = ["TcbInfo", "TdxModuleIdentity", "module_verdict", "parse_tcb_info", "platform_verdict"]

_VERSIONS = (2, 3)
_COMPONENTS = 16
_REMEMBERED = 64  # documents, each some kilobytes
_FIRST_BEHIND_MODULE = 2  # the first two TDX components are the module's, which since 1.5 has levels of its own


class _Component(msgspec.Struct, frozen=True):
    svn: int


class _Level(msgspec.Struct, frozen=True, rename="camel"):
    tcb: dict[str, Any]
    tcb_status: str
    advisory_ids: tuple[str, ...] = msgspec.field(default=(), name="advisoryIDs")


class _Module(msgspec.Struct, frozen=True, rename="camel"):
    mrsigner: str
    attributes: str
    attributes_mask: str
    id: str = ""
    tcb_levels: tuple[_Level, ...] = ()


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    version: int
    issue_date: str
    next_update: str
    fmspc: str
    pce_id: str
    tcb_type: int
    tcb_evaluation_data_number: int
    tcb_levels: tuple[_Level, ...]
    id: str = "SGX"  # version 2 knows nothing else
    tdx_module: _Module | None = None
    tdx_module_identities: tuple[_Module, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _PlatformLevel:
    components: tuple[int, ...]
    tdx_components: tuple[int, ...]
    pce_svn: int
    verdict: TcbVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class TdxModuleIdentity:
    """What a TDX module of one major version has to be.

    Attributes:
        mr_signer: its signer.
        attributes: its attributes, under the mask.
        mask: which of them are compared; the rest are zero.
        levels: least minor version and the verdict on it, newest first; none for version 0, which the
            platform's levels judge.
    """

    mr_signer: bytes
    attributes: bytes
    mask: bytes
    levels: tuple[tuple[int, TcbVerdict], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbInfo:
    """TCB information, its signature verified by whoever reads it.

    Attributes:
        tee: what it is about.
        version: the document's version.
        issue_date: since when it is in force, as text.
        next_update: until when, as text.
        fmspc: the platform family, 6 bytes.
        pce_id: the provisioning certification enclave, 2 bytes.
        evaluation_number: the number of Intel's evaluation; a later one knows more attacks.
        levels: the platform's levels, newest first.
        modules: TDX modules by major version.
    """

    tee: Tee
    version: int
    issue_date: str
    next_update: str
    fmspc: bytes
    pce_id: bytes
    evaluation_number: int
    levels: tuple[_PlatformLevel, ...]
    modules: Mapping[int, TdxModuleIdentity]


@lru_cache(maxsize=_REMEMBERED)
def parse_tcb_info(body: bytes) -> TcbInfo:
    """Return what a document says; the same one serves all platforms of a family for days, so it is remembered.

    Args:
        body: the signed bytes, their signature verified.

    Raises:
        ValueError: it is of another shape; `UnknownVersionError` if it is of another version.
        msgspec.MsgspecError: it is no JSON of that shape.
    """
    fields = msgspec.json.decode(body, type=dict[str, object])
    if fields.get("version") not in _VERSIONS:
        raise UnknownVersionError(fields.get("version"))
    return _read(msgspec.convert(fields, _Document))


def platform_verdict(
    info: TcbInfo, components: tuple[int, ...], pce_svn: int, tee_tcb_svn: bytes | None, checks: Checks
) -> TcbVerdict:
    """Return the verdict on a platform.

    Args:
        info: the TCB information of its family.
        components: 16 SVNs out of its PCK's certificate.
        pce_svn: the PCE's SVN out of the same.
        tee_tcb_svn: a TD's 16 SVNs; None for SGX.
        checks: the record.

    Raises:
        EvidenceError: it reaches no level; the code is ``"not_authentic"``.
    """
    skipped = _FIRST_BEHIND_MODULE if tee_tcb_svn and tee_tcb_svn[1] > 0 else 0
    for level in info.levels:
        wanted = (*level.components, level.pce_svn, *level.tdx_components[skipped:])
        found = (*components, pce_svn, *(tee_tcb_svn or b"")[skipped:])
        if all(there >= least for there, least in zip(found, wanted, strict=True)):
            return level.verdict
    raise checks.not_authentic("tcb level", found=found_text(components, pce_svn, tee_tcb_svn), wanted="one of Intel's")


def found_text(components: tuple[int, ...], pce_svn: int, tee_tcb_svn: bytes | None) -> str:
    """Return a platform's SVNs as one line."""
    td = f", TEE TCB SVN {tee_tcb_svn.hex()}" if tee_tcb_svn else ""
    return f"CPU SVN {bytes(components).hex()}, PCE SVN {pce_svn}{td}: below every level"


def module_verdict(identity: TdxModuleIdentity, minor: int, checks: Checks) -> TcbVerdict:
    """Return the verdict on a TDX module.

    Args:
        identity: what Intel says of its major version.
        minor: its minor version.
        checks: the record.

    Raises:
        EvidenceError: it reaches no level; the code is ``"not_authentic"``.
    """
    for least, verdict in identity.levels:
        if minor >= least:
            return verdict
    raise checks.not_authentic("tdx module level", found=minor, wanted="one of Intel's")


def _read(document: _Document) -> TcbInfo:
    tee = Tee[document.id] if document.id in Tee.__members__ else None
    if tee is None or document.tcb_type != 0 or (document.version == 2 and tee is not Tee.SGX):
        raise ValueError(f"of type {document.tcb_type}, about {document.id[:16]!r}")
    return TcbInfo(
        tee=tee,
        version=document.version,
        issue_date=document.issue_date,
        next_update=document.next_update,
        fmspc=_hex(document.fmspc, 6),
        pce_id=_hex(document.pce_id, 2),
        evaluation_number=document.tcb_evaluation_data_number,
        levels=tuple(_platform_level(level, document.version, tee) for level in document.tcb_levels),
        modules=_modules(document) if tee is Tee.TDX else {},
    )


def _platform_level(level: _Level, version: int, tee: Tee) -> _PlatformLevel:
    if version == 2:
        components = tuple(_number(level.tcb.get(f"sgxtcbcomp{n:02}svn"), 0xFF) for n in range(1, _COMPONENTS + 1))
    else:
        components = _svns(level.tcb.get("sgxtcbcomponents"))
    return _PlatformLevel(
        components=components,
        tdx_components=_svns(level.tcb.get("tdxtcbcomponents")) if tee is Tee.TDX else (),
        pce_svn=_number(level.tcb.get("pcesvn"), 0xFFFF),
        verdict=TcbVerdict(status=_status(level, frozenset(TcbStatus)), advisories=level.advisory_ids),
    )


def _modules(document: _Document) -> Mapping[int, TdxModuleIdentity]:
    modules: dict[int, TdxModuleIdentity] = {}
    if document.tdx_module is not None:
        modules[0] = _module(document.tdx_module)
    for each in document.tdx_module_identities:
        prefix, _, number = each.id.partition("_")
        major = _hex(number, 1)[0]  # Intel writes the number in hex
        if prefix != "TDX" or major in modules:
            raise ValueError(f"a module {each.id[:16]!r}, or two of that number")
        modules[major] = _module(each)
    return modules


def _module(module: _Module) -> TdxModuleIdentity:
    return TdxModuleIdentity(
        mr_signer=_hex(module.mrsigner, 48),
        attributes=_hex(module.attributes, 8),
        mask=_hex(module.attributes_mask, 8),
        levels=tuple(
            (
                _number(level.tcb.get("isvsvn"), 0xFF),
                TcbVerdict(status=_status(level, PART_STATUSES), advisories=level.advisory_ids),
            )
            for level in module.tcb_levels
        ),
    )


def _svns(value: object) -> tuple[int, ...]:
    components = msgspec.convert(value, tuple[_Component, ...])
    if len(components) != _COMPONENTS:
        raise ValueError(f"{len(components)} components where {_COMPONENTS} belong")
    return tuple(_number(component.svn, 0xFF) for component in components)


def _number(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{value!r} where a number up to {most} belongs")
    return value


def _status(level: _Level, known: frozenset[TcbStatus]) -> TcbStatus:
    if level.tcb_status not in known:
        raise ValueError(f"an unknown status {level.tcb_status[:32]!r}")
    return TcbStatus(level.tcb_status)


def _hex(text: str, size: int) -> bytes:
    value = bytes.fromhex(text)
    if len(value) != size or len(text) != 2 * size:
        raise ValueError(f"{text[:32]!r} where {size} bytes in hex belong")
    return value
