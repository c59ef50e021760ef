"""The row of AMD SEV-SNP in the table of formats."""

from __future__ import annotations

from datetime import datetime

from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.format import Format
from enclaved.verifier.roots import Roots
from enclaved.verifier.snp.chain import ENDORSEMENT_FILES
from enclaved.verifier.snp.claims import NAME, make_claims
from enclaved.verifier.snp.rules import RULES
from enclaved.verifier.snp.verify import verify_report
from enclaved.wire.attestation import Evidence

__all__ = ["SEV_SNP"]


def _authenticate(evidence: Evidence, *, at: datetime, roots: Roots, checks: Checks) -> Claims:
    return make_claims(verify_report(evidence.report, evidence.endorsements, at=at, roots=roots, checks=checks))


def _whole_binding(binding: bytes) -> bytes:
    return binding


def _no_own_time(_: Evidence) -> None:
    return None


SEV_SNP = Format(
    name=NAME,
    title="AMD SEV-SNP",
    report_file="report.bin",
    endorsement_files=ENDORSEMENT_FILES,
    authenticate=_authenticate,
    bound_field="report_data",
    expected_binding=_whole_binding,
    rules=RULES,
    own_time=_no_own_time,
)
