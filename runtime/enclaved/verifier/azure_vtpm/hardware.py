"""The hardware's own evidence inside an HCL report, verified by the steps of its own format.

A confidential VM of Azure stands on SEV-SNP or on TDX. Nothing of either is
repeated here: this format is made of others, and is the one that may import them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from enclaved.verifier.azure_vtpm.hcl_report import Hardware, HclReport
from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.dcap.claims import make_claims as make_tdx_claims
from enclaved.verifier.dcap.quote import Tee
from enclaved.verifier.dcap.verify import verify_quote
from enclaved.verifier.roots import Roots
from enclaved.verifier.snp.claims import make_claims
from enclaved.verifier.snp.verify import verify_report
from enclaved.wire.attestation import Evidence

__all__ = ["TD_QUOTE_FILE", "check_paravisor", "verify_hardware"]

TD_QUOTE_FILE = "td_quote.bin"
_TD_REPORT = {"report_data": slice(128, 192), "td_attributes": slice(512, 520), "mr_td": slice(528, 576)}
"""Places in the TDREPORT of what a quote repeats: Intel, "TDX Module ABI", tables "TDREPORT_STRUCT" and "TDINFO"."""


def verify_hardware(
    report: HclReport, endorsements: Mapping[str, bytes], *, at: datetime, roots: Roots, checks: Checks
) -> Claims:
    """Tell an authentic hardware report from any other.

    Args:
        report: the HCL report.
        endorsements: the files beside it, with those of the hardware's own format among them.
        at: the time at which certificates and TCB information have to be valid; aware.
        roots: the pinned roots.
        checks: the record.

    Returns:
        What the hardware says, as in its own format.

    Raises:
        EvidenceError: it cannot be read, is of an unsupported kind, or is not authentic.
    """
    match report.hardware:
        case Hardware.SEV_SNP:
            return make_claims(verify_report(report.hardware_report, endorsements, at=at, roots=roots, checks=checks))
        case Hardware.TDX:
            return _verify_td_quote(report, endorsements, at=at, roots=roots, checks=checks)


def _verify_td_quote(
    report: HclReport, endorsements: Mapping[str, bytes], *, at: datetime, roots: Roots, checks: Checks
) -> Claims:
    """Tell an authentic quote of the trust domain from any other, and from another domain's.

    The report in the blob is one that only the machine itself can check. Azure turns it
    into a quote, a file of its own, and it is the quote that is verified.
    """
    quote = endorsements.get(TD_QUOTE_FILE)
    if quote is None:
        raise checks.unreadable(TD_QUOTE_FILE, found="no such file", wanted="a quote of the trust domain")
    evidence = Evidence(format=Hardware.TDX.value, report=quote, endorsements=dict(endorsements))
    claims = make_tdx_claims(verify_quote(evidence, Tee.TDX, at=at, roots=roots, checks=checks))
    for name, place in _TD_REPORT.items():
        checks.equal(f"td report: {name}", found=report.hardware_report[place], wanted=claims.vendor[name])
    return claims


def check_paravisor(hardware: Hardware, claims: Claims, checks: Checks) -> None:
    """Check that the report was made at the level where only the paravisor runs.

    On SEV-SNP the guest's operating system runs at a lower privilege level, and can
    ask for reports over data of its own choice: such a report names its level. On
    TDX a nested guest has no way to ask.

    Args:
        hardware: what the hardware is.
        claims: what its report says.
        checks: the record.

    Raises:
        EvidenceError: it was made at another level.
    """
    if hardware is Hardware.SEV_SNP:
        checks.equal("vmpl", found=claims.vendor["vmpl"], wanted=0)
