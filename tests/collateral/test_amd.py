"""SEV-SNP reports that lack endorsements: what AMD's service is asked for, and what is added."""

from __future__ import annotations

import msgspec
import pytest
from enclaved.collateral.completion import needed
from enclaved.collateral.error import CollateralError
from enclaved.collateral.services import Services
from enclaved.errors import EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.wire.attestation import Evidence
from hypothesis import given
from hypothesis import strategies as st
from service_world import KDS, bare, kds, source
from simulation import NOON
from vendor_world import DAY
from verifier.snp.snp_forgery import Chip, make_chip, make_crl, make_evidence, make_report, make_service


@pytest.fixture(scope="module", params=["Milan", "Genoa", "Turin"])
def chip(request: pytest.FixtureRequest) -> Chip:
    """A chip of each product line."""
    return make_chip(make_service(request.param))


async def test_a_bare_report_is_completed_so_that_it_verifies(chip: Chip) -> None:
    """VCEK, chain and revocation list are fetched by what the report says, and are all that was missing."""
    completed = await source(kds(chip)).complete(bare(chip))

    claims = authenticate(completed, at=NOON, roots=chip.service.roots, checks=Checks())
    assert claims.vendor["revocation"] == "current"
    assert completed.endorsements.keys() == {"vcek.der", "ask.pem", "ark.pem", f"{chip.service.line.lower()}.crl"}


async def test_what_came_along_and_is_in_force_is_not_asked_for(chip: Chip) -> None:
    """A complete folder needs no network."""
    completed = await source(kds(chip)).complete(bare(chip))
    assert await source({}).complete(completed) == completed


async def test_a_list_past_its_end_is_replaced() -> None:
    """A host that hands out last year's list gets no say in it."""
    chip = make_chip(make_service())
    stale = make_crl(chip.service.root, start=NOON - 2 * DAY, end=NOON - DAY)
    evidence = await source(kds(chip)).complete(make_evidence(chip, milan_crl=stale))

    assert evidence.endorsements["milan.crl"] != stale


async def test_a_service_without_a_list_in_force_completes_nothing() -> None:
    """A revocation list past its next update is never handed on."""
    chip = make_chip(make_service())
    stale = make_crl(chip.service.root, start=NOON - 2 * DAY, end=NOON - DAY)
    with pytest.raises(CollateralError, match="was to be used until"):
        await source(kds(chip, crl=stale)).complete(bare(chip))


@pytest.mark.parametrize("name", ["vcek", "chain", "crl"])
@pytest.mark.parametrize("garbage", [b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAA==\n", bytes(3000)])
async def test_garbage_in_the_place_of_any_file_is_refused(name: str, garbage: bytes) -> None:
    """Only what parses as what was asked for becomes an endorsement."""
    chip = make_chip(make_service())
    with pytest.raises(CollateralError, match="that is no"):
        await source(kds(chip, **{name: garbage})).complete(bare(chip))


@pytest.mark.parametrize("count", [1, 3])
async def test_a_chain_of_another_length_is_refused(count: int) -> None:
    """The service gives the authority and the root, and no more."""
    chip = make_chip(make_service())
    with pytest.raises(CollateralError, match=f"{count} certificates where 2"):
        await source(kds(chip, chain=chip.service.root.pem * count)).complete(bare(chip))


async def test_an_unknown_chip_says_which_address_was_asked() -> None:
    """The service's answer for a chip that it does not know reaches the user as such."""
    with pytest.raises(CollateralError, match="not here") as raised:
        await source({}).complete(bare(make_chip(make_service())))
    assert raised.value.what.startswith(KDS)


def test_a_report_without_cpuid_needs_its_product_named() -> None:
    """Before version 3 a report does not say what made it, and nothing is guessed by asking around."""
    report = bare(make_chip(make_service("Genoa")), version=2)
    with pytest.raises(CollateralError, match="milan, genoa, turin"):
        needed(report, services=Services())

    urls = [each.url for each in needed(report, services=Services(), product="genoa")]
    assert all("/Genoa/" in url for url in urls)
    with_key = msgspec.structs.replace(report, endorsements={"vcek.der": make_chip(make_service("Milan")).key.der})
    assert all("/Milan/" in each.url for each in needed(with_key, services=Services()))


@pytest.mark.parametrize("chip_id", [bytes(64), b"\x01" * 8 + bytes(55) + b"\x01"], ids=["masked", "not zero behind"])
def test_a_report_that_names_no_chip_asks_for_nothing(chip_id: bytes) -> None:
    """A masked identifier is no chip's, and Turin's has eight bytes."""
    report = bare(make_chip(make_service("Turin")), turned={0x1A0: chip_id})
    with pytest.raises(EvidenceError, match="chip_id"):
        needed(report, services=Services())


def test_a_vlek_is_the_providers_to_give() -> None:
    """AMD's service has no VLEKs, but what is above them."""
    chip = make_chip(make_service())
    report = bare(chip, turned={0x48: (1 << 2).to_bytes(4, "little")})
    with pytest.raises(CollateralError, match=r"vlek\.der"):
        needed(report, services=Services())

    with_vlek = msgspec.structs.replace(report, endorsements={"vlek.der": b"anything"})
    urls = [each.url for each in needed(with_vlek, services=Services())]
    assert urls == [f"{KDS}/vlek/v1/Milan/cert_chain", f"{KDS}/vlek/v1/Milan/crl"]


@given(place=st.integers(0, 0x49F), value=st.binary(min_size=1, max_size=8))
def test_no_report_writes_anything_but_digits_into_an_address(place: int, value: bytes) -> None:
    """What is not verified decides on numbers only, never on hosts, paths or parameters."""
    report = bytearray(_REPORT)
    report[place : place + len(value)] = value
    try:
        resources = needed(Evidence(format="sev-snp", report=bytes(report), endorsements={}), services=Services())
    except (EvidenceError, CollateralError):
        return
    for each in resources:
        assert each.url.startswith((f"{KDS}/vcek/v1/", f"{KDS}/vlek/v1/"))
        assert set(each.url.removeprefix(KDS)) <= set("/?&=_" + "0123456789abcdefghijklmnopqrstuvwxyz" + "SPLMGT")


_REPORT = make_report(make_chip(make_service()))
