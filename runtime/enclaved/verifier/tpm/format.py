"""The row of TPM 2.0 in the table of formats."""

from __future__ import annotations

from enclaved.verifier.format import Format
from enclaved.verifier.tpm.chain import CHAIN_FILE
from enclaved.verifier.tpm.rules import RULES
from enclaved.verifier.tpm.verify import FILES, KEY_FILE, NAME, authenticate_tpm
from enclaved.wire.attestation import Evidence
from enclaved.wire.bundle import tpm_binding

__all__ = ["TPM"]


def _no_own_time(_: Evidence) -> None:
    return None  # a TPM's clock counts from its first power-on


TPM = Format(
    name=NAME,
    title="TPM 2.0",
    report_file="quote.msg",
    endorsement_files=(*FILES.names, KEY_FILE, CHAIN_FILE),
    authenticate=authenticate_tpm,
    bound_field="extra_data",
    expected_binding=tpm_binding,
    rules=RULES,
    own_time=_no_own_time,
)
