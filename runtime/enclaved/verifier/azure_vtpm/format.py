"""The row of Azure's confidential VMs in the table of formats."""

from __future__ import annotations

from enclaved.verifier.azure_vtpm.hardware import TD_QUOTE_FILE
from enclaved.verifier.azure_vtpm.rules import RULES
from enclaved.verifier.azure_vtpm.verify import FILES, KEY_FILE, NAME, QUOTE_FILE, authenticate_azure_vtpm
from enclaved.verifier.dcap.verify import ENDORSEMENT_FILES as DCAP_FILES
from enclaved.verifier.format import Format
from enclaved.verifier.snp.chain import ENDORSEMENT_FILES as SNP_FILES
from enclaved.wire.attestation import Evidence
from enclaved.wire.bundle import tpm_binding

__all__ = ["AZURE_VTPM"]


def _no_own_time(_: Evidence) -> None:
    return None


AZURE_VTPM = Format(
    name=NAME,
    title="Azure confidential VM",
    report_file="hcl_report.bin",
    endorsement_files=(QUOTE_FILE, *FILES.names, KEY_FILE, TD_QUOTE_FILE, *SNP_FILES, *DCAP_FILES),
    authenticate=authenticate_azure_vtpm,
    bound_field="extra_data",
    expected_binding=tpm_binding,
    rules=RULES,
    own_time=_no_own_time,
)
