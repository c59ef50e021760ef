"""The row of the simulated format in the table of formats."""

from __future__ import annotations

from datetime import datetime

from enclaved.verifier.checks import Checks
from enclaved.verifier.format import Format
from enclaved.verifier.simulated.authenticate import DEVICE_FILE, NAME, ROOT_FILE, authenticate_simulated
from enclaved.verifier.simulated.report import read_report
from enclaved.verifier.simulated.rules import RULES
from enclaved.wire.attestation import Evidence

__all__ = ["SIMULATED"]


def _own_time(evidence: Evidence) -> datetime:
    return read_report(evidence.report, Checks()).host_time


def _whole_binding(binding: bytes) -> bytes:
    return binding


SIMULATED = Format(
    name=NAME,
    title="SIMULATED device",
    report_file="simulated.cbor",
    endorsement_files=(DEVICE_FILE, ROOT_FILE),
    authenticate=authenticate_simulated,
    bound_field="bound_data",
    expected_binding=_whole_binding,
    rules=RULES,
    own_time=_own_time,
    simulated=True,
)
