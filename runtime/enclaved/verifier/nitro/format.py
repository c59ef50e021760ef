"""The row of AWS Nitro Enclaves in the table of formats."""

from __future__ import annotations

from datetime import datetime

from enclaved.verifier.checks import Checks
from enclaved.verifier.format import Format
from enclaved.verifier.nitro.document import read_document
from enclaved.verifier.nitro.envelope import read_envelope
from enclaved.verifier.nitro.rules import RULES
from enclaved.verifier.nitro.verify import NAME, authenticate_nitro
from enclaved.wire.attestation import Evidence

__all__ = ["NITRO"]


def _own_time(evidence: Evidence) -> datetime:
    checks = Checks()
    return read_document(read_envelope(evidence.report, checks).payload, checks).issued_at


def _whole_binding(binding: bytes) -> bytes:
    return binding


NITRO = Format(
    name=NAME,
    title="AWS Nitro Enclaves",
    report_file="attestation_doc.cbor",
    endorsement_files=(),
    authenticate=authenticate_nitro,
    bound_field="user_data",
    expected_binding=_whole_binding,
    rules=RULES,
    own_time=_own_time,
)
