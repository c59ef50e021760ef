"""What `dcap-qvl` refuses or cannot read before it comes to a verdict."""

from __future__ import annotations

from enclaved.verifier.dcap.quote import Quote
from enclaved.verifier.dcap.revocation import Revocation
from enclaved.verifier.dcap.sgx_report import SgxReport, is_debuggable
from enclaved.verifier.dcap.tcb_info import TcbInfo
from enclaved.verifier.dcap.td_report import TdReport, attribute_bits, unknown_attributes

__all__ = ["obstacle"]

_TCB_INFO_VERSION = 3
_SGX_VERSION = 3


def obstacle(quote: Quote, report: TdReport | SgxReport, info: TcbInfo, revocation: Revocation) -> str | None:
    """Return why `dcap-qvl` cannot be asked about a quote, or None where it can.

    Args:
        quote: the quote.
        report: its body.
        info: the TCB information.
        revocation: what the revocation lists show; the library needs both, in force.
    """
    if info.version != _TCB_INFO_VERSION:
        return f"TCB information of version {info.version}"
    if revocation is not Revocation.CURRENT:
        return f"revocation lists: {revocation}"
    return _sgx_obstacle(quote, report) if isinstance(report, SgxReport) else _td_obstacle(report)


def _sgx_obstacle(quote: Quote, report: SgxReport) -> str | None:
    if quote.version != _SGX_VERSION:
        return f"an enclave's quote of version {quote.version}"
    return "debug" if is_debuggable(report) else None


def _td_obstacle(report: TdReport) -> str | None:
    bits = attribute_bits(report)
    for name in ("debug", "migratable", "perfmon"):
        if bits[name]:
            return name
    if not bits["sept_ve_disable"]:
        return "no sept_ve_disable"
    if any(report.mr_service_td or b""):
        return "mr_service_td"
    return "unknown attributes" if unknown_attributes(report) else None
