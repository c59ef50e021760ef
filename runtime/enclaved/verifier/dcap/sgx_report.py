"""An SGX enclave's report: the body of an SGX quote, and the quoting enclave's own report.

Intel, "SGX ECDSA QuoteLibReference DCAP API", appendix A.4, table "Enclave
Report Body"; the attributes are in the Software Developer's Manual, volume 3D,
table "ATTRIBUTES".
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SgxReport", "is_debuggable", "read_sgx_report"]

_DEBUG = 1 << 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SgxReport:
    """An enclave's report, under Intel's names.

    Attributes:
        cpu_svn: security version of the processor, raw.
        misc_select: which extended state is saved, raw.
        isv_ext_prod_id: extended product number, with key separation and sharing only.
        attributes: flags and XFRM; bit 1 is DEBUG.
        mr_enclave: measurement of the enclave's contents.
        mr_signer: SHA-256 of the key that signed the enclave.
        config_id: what the host gave at launch, such as a digest of a configuration.
        isv_prod_id: the signer's number for the product.
        isv_svn: the signer's number for its security version.
        config_svn: security version of `config_id`.
        isv_family_id: the signer's number for a family of products.
        report_data: 64 bytes of whoever asked for the report.
    """

    cpu_svn: bytes
    misc_select: bytes
    isv_ext_prod_id: bytes
    attributes: bytes
    mr_enclave: bytes
    mr_signer: bytes
    config_id: bytes
    isv_prod_id: int
    isv_svn: int
    config_svn: int
    isv_family_id: bytes
    report_data: bytes


def read_sgx_report(body: bytes) -> SgxReport:
    """Return the report in 384 bytes."""
    return SgxReport(
        cpu_svn=body[0:16],
        misc_select=body[16:20],
        isv_ext_prod_id=body[32:48],
        attributes=body[48:64],
        mr_enclave=body[64:96],
        mr_signer=body[128:160],
        config_id=body[192:256],
        isv_prod_id=int.from_bytes(body[256:258], "little"),
        isv_svn=int.from_bytes(body[258:260], "little"),
        config_svn=int.from_bytes(body[260:262], "little"),
        isv_family_id=body[304:320],
        report_data=body[320:384],
    )


def is_debuggable(report: SgxReport) -> bool:
    """Tell whether the host may read and change the enclave's memory."""
    return bool(report.attributes[0] & _DEBUG)
