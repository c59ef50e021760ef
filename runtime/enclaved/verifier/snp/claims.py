"""What an authentic report says, under AMD's names in lower case (AMD publication 56860, section 7.3)."""

from __future__ import annotations

from dataclasses import asdict

from enclaved.verifier.claims import Claims, ClaimValue
from enclaved.verifier.snp.bits import platform_info_bits, policy_bits
from enclaved.verifier.snp.report import SnpReport
from enclaved.verifier.snp.verify import VerifiedReport

__all__ = ["NAME", "make_claims"]

NAME = "sev-snp"


def make_claims(verified: VerifiedReport) -> Claims:
    """Return the claims of an authentic report.

    Args:
        verified: the report, and what was found out while it was verified.
    """
    report = verified.report
    policy = policy_bits(report.policy)
    return Claims(
        format=NAME,
        bound_data=report.report_data,
        confidential=True,
        simulated=False,
        debug=bool(policy["debug"]),
        tcb_status=None,
        measurement=report.measurement,
        evidence_time=None,
        vendor={
            **_fields(report),
            "policy_bits": policy,
            "platform_info_bits": platform_info_bits(report.platform_info),
            "current_tcb": verified.tcb.current,
            "reported_tcb": verified.tcb.reported,
            "committed_tcb": verified.tcb.committed,
            "launch_tcb": verified.tcb.launch,
            "signing_key": report.signing_key.value,
            "product": verified.line.name,
            "csp_id": verified.vek.csp_id,
            "revocation": verified.revocation.value,
        },
    )


def _fields(report: SnpReport) -> dict[str, ClaimValue]:
    cpu = report.cpu
    return {
        "version": report.version,
        "guest_svn": report.guest_svn,
        "policy": report.policy,
        "family_id": report.family_id,
        "image_id": report.image_id,
        "vmpl": report.vmpl,
        "signature_algo": report.signature_algo,
        "platform_info": report.platform_info,
        "author_key_en": report.author_key_en,
        "mask_chip_key": report.mask_chip_key,
        "report_data": report.report_data,
        "host_data": report.host_data,
        "id_key_digest": report.id_key_digest,
        "author_key_digest": report.author_key_digest,
        "report_id": report.report_id,
        "report_id_ma": report.report_id_ma,
        "cpuid_fam_id": cpu.family if cpu else None,
        "cpuid_mod_id": cpu.model if cpu else None,
        "cpuid_step": cpu.stepping if cpu else None,
        "chip_id": report.chip_id,
        "current_version": asdict(report.current_version),
        "committed_version": asdict(report.committed_version),
        "launch_mit_vector": report.launch_mit_vector,
        "current_mit_vector": report.current_mit_vector,
    }
