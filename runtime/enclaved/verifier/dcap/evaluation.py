"""The TCB status of what made a quote: platform, TDX module and quoting enclave together.

Intel, "Provisioning Certification Service API", "Get TCB Info"; see `tcb_status`
for how the parts make one. A TD of version 1.5 says which module it was launched
under and which one runs now, and both are judged.
"""

from __future__ import annotations

from enclaved.verifier.checks import Checks
from enclaved.verifier.dcap.pck import Pck
from enclaved.verifier.dcap.qe_identity import QeIdentity, qe_verdict
from enclaved.verifier.dcap.sgx_report import SgxReport
from enclaved.verifier.dcap.tcb_info import TcbInfo, TdxModuleIdentity, module_verdict, platform_verdict
from enclaved.verifier.dcap.tcb_status import TcbVerdict, combine, relaunch
from enclaved.verifier.dcap.td_report import TdReport

__all__ = ["check_module", "evaluate"]


def check_module(report: TdReport, info: TcbInfo, checks: Checks) -> None:
    """Check that the TDX module is Intel's: the module is what keeps host and guest apart.

    Args:
        report: the TD's report.
        info: the TCB information of its platform.
        checks: the record.

    Raises:
        EvidenceError: it is another's, or of a version that Intel does not list; the code is ``"not_authentic"``.
    """
    identity = _identity(info, report.tee_tcb_svn, checks)
    checks.equal("tdx module: mr_signer_seam", found=report.mr_signer_seam, wanted=identity.mr_signer)
    attributes, mask = (int.from_bytes(each, "big") for each in (report.seam_attributes, identity.mask))
    wanted = int.from_bytes(identity.attributes, "big") & mask
    # What the mask leaves out has no meaning yet, and is zero.
    checks.equal("tdx module: seam_attributes", found=attributes, wanted=wanted)


def evaluate(
    pck: Pck, qe_report: SgxReport, report: TdReport | SgxReport, info: TcbInfo, identity: QeIdentity, checks: Checks
) -> TcbVerdict:
    """Return the status of what made a quote.

    Args:
        pck: what its certificate says of the platform.
        qe_report: the quoting enclave's report.
        report: the report that it quotes.
        info: the TCB information of the platform.
        identity: the quoting enclave's identity.
        checks: the record.

    Raises:
        EvidenceError: a part reaches no level; the code is ``"not_authentic"``.
    """
    qe = qe_verdict(identity, qe_report.isv_svn, checks)
    if isinstance(report, SgxReport):
        return combine(platform_verdict(info, pck.components, pck.pce_svn, None, checks), (qe,))
    launched = _td_verdict(pck, report.tee_tcb_svn, qe, info, checks)
    if report.tee_tcb_svn_2 is None:
        return launched
    return relaunch(launched, _td_verdict(pck, report.tee_tcb_svn_2, qe, info, checks))


def _td_verdict(pck: Pck, tee_tcb_svn: bytes, qe: TcbVerdict, info: TcbInfo, checks: Checks) -> TcbVerdict:
    platform = platform_verdict(info, pck.components, pck.pce_svn, tee_tcb_svn, checks)
    minor, major = tee_tcb_svn[0], tee_tcb_svn[1]
    if major == 0:  # the platform's levels judge these modules as well
        return combine(platform, (qe,))
    return combine(platform, (module_verdict(_identity(info, tee_tcb_svn, checks), minor, checks), qe))


def _identity(info: TcbInfo, tee_tcb_svn: bytes, checks: Checks) -> TdxModuleIdentity:
    identity = info.modules.get(tee_tcb_svn[1])
    if identity is None:
        raise checks.not_authentic(
            "tdx module", found=f"major version {tee_tcb_svn[1]}", wanted=f"one of {sorted(info.modules)}"
        )
    return identity
