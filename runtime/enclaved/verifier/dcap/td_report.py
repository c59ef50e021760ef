"""A trust domain's report, the body of a TDX quote.

Intel, "TDX DCAP Quoting Library API", appendix A.3.2 (TD 1.0) and A.3.3 (TD 1.5);
the bits of TDATTRIBUTES are in "TDX Module Base Architecture Specification",
table "TDATTRIBUTES".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from enclaved.verifier.dcap.quote import BodyType

__all__ = ["ATTRIBUTE_BITS", "TdReport", "attribute_bits", "read_td_report", "unknown_attributes", "untrusted_bits"]

_UNTRUSTED = 0xFF  # the group TUD: debug, and whatever later lets the host look in
ATTRIBUTE_BITS = {
    "sept_ve_disable": 28,  # the host cannot turn the guest's accesses into exceptions
    "migratable": 29,  # a migration TD may take the guest to another machine
    "pks": 30,
    "kl": 31,
    "perfmon": 63,  # performance counters: the guest and the host may count each other's events
}
_LAYOUT = {
    "tee_tcb_svn": (0, 16),
    "mr_seam": (16, 48),
    "mr_signer_seam": (64, 48),
    "seam_attributes": (112, 8),
    "td_attributes": (120, 8),
    "xfam": (128, 8),
    "mr_td": (136, 48),
    "mr_config_id": (184, 48),
    "mr_owner": (232, 48),
    "mr_owner_config": (280, 48),
    "rtmr0": (328, 48),
    "rtmr1": (376, 48),
    "rtmr2": (424, 48),
    "rtmr3": (472, 48),
    "report_data": (520, 64),
}
_TEE_TCB_SVN_2 = slice(584, 600)
_MR_SERVICE_TD = slice(600, 648)


@dataclass(frozen=True, slots=True, kw_only=True)
class TdReport:
    """A trust domain's report, under Intel's names.

    Attributes:
        tee_tcb_svn: SVNs of the TDX module that the domain was launched under: minor, major, and what it loads.
        mr_seam: measurement of that module.
        mr_signer_seam: its signer; zero for Intel.
        seam_attributes: its attributes.
        td_attributes: the domain's attributes; `attribute_bits` names the bits.
        xfam: extended processor features that the domain may use.
        mr_td: measurement of the domain's initial contents, usually its firmware.
        mr_config_id: what the host gave at launch, such as a digest of a configuration.
        mr_owner: what the host gave as the owner.
        mr_owner_config: what the host gave as the owner's configuration.
        rtmr0: runtime measurements; firmware's configuration by convention.
        rtmr1: kernel and boot loader by convention.
        rtmr2: command line and initial RAM disk by convention.
        rtmr3: the guest's own use.
        report_data: 64 bytes of whoever asked for the report.
        tee_tcb_svn_2: SVNs of the module that runs now; None in reports of TD 1.0.
        mr_service_td: measurement of the service domains that are bound to this one, zero for none;
            None in reports of TD 1.0.
    """

    tee_tcb_svn: bytes
    mr_seam: bytes
    mr_signer_seam: bytes
    seam_attributes: bytes
    td_attributes: bytes
    xfam: bytes
    mr_td: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    rtmr0: bytes
    rtmr1: bytes
    rtmr2: bytes
    rtmr3: bytes
    report_data: bytes
    tee_tcb_svn_2: bytes | None
    mr_service_td: bytes | None


def read_td_report(body: bytes, body_type: BodyType) -> TdReport:
    """Return the report in a quote's body.

    Args:
        body: the body, of its type's size.
        body_type: TD 1.0 or TD 1.5.
    """
    fields = {name: body[start : start + size] for name, (start, size) in _LAYOUT.items()}
    is_1_5 = body_type is BodyType.TD_1_5
    return TdReport(
        **fields,
        tee_tcb_svn_2=body[_TEE_TCB_SVN_2] if is_1_5 else None,
        mr_service_td=body[_MR_SERVICE_TD] if is_1_5 else None,
    )


def attribute_bits(report: TdReport) -> Mapping[str, bool]:
    """Return the domain's attributes by name; ``debug`` is the whole group of bits that make it untrusted."""
    attributes = int.from_bytes(report.td_attributes, "little")
    return {"debug": untrusted_bits(report) != 0} | {
        name: bool(attributes >> bit & 1) for name, bit in ATTRIBUTE_BITS.items()
    }


def untrusted_bits(report: TdReport) -> int:
    """Return the bits that make a domain untrusted; bit 0 is DEBUG."""
    return int.from_bytes(report.td_attributes, "little") & _UNTRUSTED


def unknown_attributes(report: TdReport) -> int:
    """Return the attributes that have no name here: a later module may give them any meaning."""
    known = _UNTRUSTED | sum(1 << bit for bit in ATTRIBUTE_BITS.values())
    return int.from_bytes(report.td_attributes, "little") & ~known
