"""Evidence of every format: whom it is asked of, whatever it holds; and the addresses of services."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from enclaved.collateral.completion import COMPLETED_FORMATS, needed
from enclaved.collateral.error import CollateralError
from enclaved.collateral.services import Services
from enclaved.errors import ConfigurationError, EvidenceError
from enclaved.verifier.formats import FORMATS
from enclaved.wire.attestation import Evidence
from hypothesis import given
from hypothesis import strategies as st
from service_world import kds, pcs, source
from vendor_world import Platform, platform
from verifier.snp.snp_forgery import make_chip, make_report, make_service


@pytest.fixture(scope="module")
def intel() -> Platform:
    """A platform below Intel's Platform CA."""
    return platform()


@given(data=st.binary(max_size=2000), name=st.sampled_from(COMPLETED_FORMATS))
def test_no_evidence_escapes_as_another_error(data: bytes, name: str) -> None:
    """Whatever the host sends as evidence."""
    with pytest.raises((EvidenceError, CollateralError)):
        needed(Evidence(format=name, report=data, endorsements={}), services=Services())


def hcl(report: bytes, kind: int) -> bytes:
    """Return a blob of Azure's firmware round a hardware's report."""
    return b"HCLA".ljust(0x20, b"\0") + report.ljust(0x4A0, b"\0") + bytes(8) + kind.to_bytes(4, "little") + bytes(700)


async def test_azures_wrapping_is_looked_through(intel: Platform) -> None:
    """The hardware inside decides which vendor is asked."""
    chip = make_chip(make_service())
    snp = Evidence(format="azure-vtpm", report=hcl(make_report(chip), 2), endorsements={})
    assert "vcek.der" in (await source(kds(chip)).complete(snp)).endorsements

    tdx = Evidence(format="azure-vtpm", report=hcl(b"", 4), endorsements={"td_quote.bin": intel.quote})
    assert "tcb_info.json" in (await source(pcs(intel)).complete(tdx)).endorsements
    with pytest.raises(EvidenceError, match="td_quote"):
        await source({}).complete(replace_endorsements(tdx))


def replace_endorsements(evidence: Evidence) -> Evidence:
    """Return evidence without any."""
    return msgspec.structs.replace(evidence, endorsements={})


@pytest.mark.parametrize("name", sorted(FORMATS.keys() - set(COMPLETED_FORMATS)))
async def test_formats_that_carry_everything_stay_as_they_are(name: str) -> None:
    """No service is asked about them."""
    evidence = Evidence(format=name, report=b"anything", endorsements={})
    assert await source({}).complete(evidence) == evidence


@pytest.mark.parametrize(
    "address",
    ["http://pccs", "pccs", "https://", "https://u:p@pccs", "https://@pccs", "https://pccs?x=y", "https://pccs#x",
     "https://pccs:0", "https://pccs:99999", "https://pc cs", "https://pccs\r\nX: y", "ftp://pccs", "https://pçcs"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """Only HTTPS, and nothing in it that a request could be split at or a name hidden in."""
    with pytest.raises(ConfigurationError, match="no address"):
        Services().with_pccs(address)
    with pytest.raises(ConfigurationError, match="no address"):
        Services(amd=address)


def test_services_are_replaced_one_by_one() -> None:
    """A private AMD cache says nothing about Intel's."""
    assert Services().with_kds("https://kds/").amd == "https://kds"
    assert Services().with_kds("https://kds/") == replace(Services(), amd="https://kds")
