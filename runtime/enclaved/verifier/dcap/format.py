"""The rows of Intel TDX and SGX in the table of formats."""

from __future__ import annotations

from datetime import datetime

from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.dcap.claims import SGX_NAME, TDX_NAME, make_claims
from enclaved.verifier.dcap.quote import Tee
from enclaved.verifier.dcap.sgx_rules import SGX_ALTERNATIVES, SGX_RULES
from enclaved.verifier.dcap.tdx_rules import TDX_RULES
from enclaved.verifier.dcap.verify import ENDORSEMENT_FILES, verify_quote
from enclaved.verifier.format import Format
from enclaved.verifier.roots import Roots
from enclaved.wire.attestation import Evidence

__all__ = ["SGX", "TDX"]

_REPORT_FILE = "quote.bin"
_BOUND_FIELD = "report_data"


def _authenticate_tdx(evidence: Evidence, *, at: datetime, roots: Roots, checks: Checks) -> Claims:
    return make_claims(verify_quote(evidence, Tee.TDX, at=at, roots=roots, checks=checks))


def _authenticate_sgx(evidence: Evidence, *, at: datetime, roots: Roots, checks: Checks) -> Claims:
    return make_claims(verify_quote(evidence, Tee.SGX, at=at, roots=roots, checks=checks))


def _whole_binding(binding: bytes) -> bytes:
    return binding


def _no_own_time(_: Evidence) -> None:
    return None


TDX = Format(
    name=TDX_NAME,
    title="Intel TDX",
    report_file=_REPORT_FILE,
    endorsement_files=ENDORSEMENT_FILES,
    authenticate=_authenticate_tdx,
    bound_field=_BOUND_FIELD,
    expected_binding=_whole_binding,
    rules=TDX_RULES,
    own_time=_no_own_time,
)
SGX = Format(
    name=SGX_NAME,
    title="Intel SGX",
    report_file=_REPORT_FILE,
    endorsement_files=ENDORSEMENT_FILES,
    authenticate=_authenticate_sgx,
    bound_field=_BOUND_FIELD,
    expected_binding=_whole_binding,
    rules=SGX_RULES,
    alternatives=SGX_ALTERNATIVES,
    own_time=_no_own_time,
)
