"""Genuine evidence: what would be asked for is what lies beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from enclaved.collateral.completion import needed
from enclaved.collateral.services import Services
from enclaved.wire.attestation import Evidence

pytestmark = pytest.mark.vectors

_REPORTS = {"snp": "report.bin", "sgx": "quote.bin", "tdx": "quote.bin"}
_FORMATS = {"snp": "sev-snp"}


def genuine(tee: str) -> list[tuple[str, Evidence]]:
    """Return genuine evidence that verifies; skips the test where there is none."""
    folder = Path(os.environ.get("ENCLAVED_VECTORS", "/nowhere"))
    if not (folder / "MANIFEST.json").exists():
        pytest.skip("ENCLAVED_VECTORS names no folder of genuine evidence")
    found = []
    for case in json.loads((folder / "MANIFEST.json").read_text())["cases"]:
        if case["tee"] == tee and case["cli"]["exit"] == [0]:
            files = {name: (folder / file["path"]).read_bytes() for name, file in case["files"].items()}
            report = files.pop(_REPORTS[tee])
            found.append((case["id"], Evidence(format=_FORMATS.get(tee, tee), report=report, endorsements=files)))
    assert found
    return found


@pytest.mark.parametrize("tee", ["sgx", "tdx"])
def test_the_tcb_info_beside_a_quote_is_that_which_would_be_asked_for(tee: str) -> None:
    """The FMSPC that is read of a quote is the one that Intel's document is for, and every file is recognised."""
    for name, evidence in genuine(tee):
        resources = needed(evidence, services=Services())
        fmspc = json.loads(evidence.endorsements["tcb_info.json"])["tcbInfo"]["fmspc"].lower()
        assert resources[0].url.endswith(f"/{tee}/certification/v4/tcb?fmspc={fmspc}"), name
        for each in resources:
            if each.title not in _left_out(evidence):
                assert each.ends(evidence.endorsements), f"{name}: {each.title}"


def test_the_certificates_beside_a_report_are_those_which_would_be_asked_for() -> None:
    """VCEK or VLEK chain and lists are recognised, for every product line."""
    for name, evidence in genuine("snp"):
        for each in needed(evidence, services=Services()):
            if each.title != "revocation list":
                assert each.ends(evidence.endorsements), f"{name}: {each.title}"


def _left_out(evidence: Evidence) -> set[str]:
    """Return what some folders do not hold."""
    absent = {"pck_crl.der": "revocation list of PCKs", "root_ca_crl.der": "revocation list of the root"}
    return {title for file, title in absent.items() if file not in evidence.endorsements}
