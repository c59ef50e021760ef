"""What an authentic quote says, under Intel's names in lower case."""

from __future__ import annotations

from dataclasses import asdict

from enclaved.verifier.claims import Claims, ClaimValue
from enclaved.verifier.dcap.sgx_report import SgxReport, is_debuggable
from enclaved.verifier.dcap.td_report import TdReport, attribute_bits, unknown_attributes
from enclaved.verifier.dcap.verify import VerifiedQuote

__all__ = ["SGX_NAME", "TDX_NAME", "make_claims"]

TDX_NAME = "tdx"
SGX_NAME = "sgx"


def make_claims(verified: VerifiedQuote) -> Claims:
    """Return the claims of a verified quote."""
    report = verified.report
    is_sgx = isinstance(report, SgxReport)
    vendor = {**asdict(report), **(_of_sgx(report) if isinstance(report, SgxReport) else _of_td(report))}
    return Claims(
        format=SGX_NAME if is_sgx else TDX_NAME,
        bound_data=report.report_data,
        confidential=True,
        simulated=False,
        debug=bool(vendor["debug"]),
        tcb_status=verified.tcb.status.value,
        measurement=report.mr_enclave if isinstance(report, SgxReport) else report.mr_td,
        evidence_time=None,
        vendor={**vendor, **_of_platform(verified)},
    )


def _of_td(report: TdReport) -> dict[str, ClaimValue]:
    return {
        "debug": attribute_bits(report)["debug"],
        "td_attribute_bits": attribute_bits(report),
        "unknown_td_attributes": unknown_attributes(report).to_bytes(8, "little"),
    }


def _of_sgx(report: SgxReport) -> dict[str, ClaimValue]:
    return {"debug": is_debuggable(report)}


def _of_platform(verified: VerifiedQuote) -> dict[str, ClaimValue]:
    pck, quote = verified.pck, verified.quote
    return {
        "version": quote.version,
        "qe_vendor_id": quote.qe_vendor_id,
        "user_data": quote.user_data,
        "qe_isv_svn": verified.qe_report.isv_svn,
        "tcb_status": verified.tcb.status.value,
        "advisories": tuple(sorted(verified.tcb.advisories)),
        "tcb_evaluation_data_number": verified.tcb_info.evaluation_number,
        "qe_tcb_evaluation_data_number": verified.qe_identity.evaluation_number,
        "fmspc": pck.fmspc,
        "pce_id": pck.pce_id,
        "pce_svn": pck.pce_svn,
        "pck_cpu_svn": bytes(pck.components),
        "ppid": pck.ppid,
        "platform_instance_id": pck.platform_instance_id,
        "platform_configuration": pck.configuration,
        "revocation": verified.revocation.value,
        "second_opinion": verified.second_opinion,
    }
