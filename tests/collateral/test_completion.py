"""Evidence that lacks endorsements: what is asked for, and what is added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

import msgspec
import pytest
from enclaved.collateral.completion import COMPLETED_FORMATS, CollateralSource, needed
from enclaved.collateral.error import CollateralError
from enclaved.collateral.fetcher import Fetcher
from enclaved.collateral.response import Head, Response
from enclaved.collateral.services import Services
from enclaved.errors import ConfigurationError, EvidenceError
from enclaved.verifier.authenticate import authenticate
from enclaved.verifier.checks import Checks
from enclaved.verifier.formats import FORMATS
from enclaved.wire.attestation import Evidence
from hypothesis import given
from hypothesis import strategies as st
from simulation import NOON, FixedClock
from vendor_world import DAY, Platform, crl, identity_body, platform, tcb_info_body, without_next_update
from verifier.snp.snp_forgery import Chip, make_chip, make_crl, make_evidence, make_report, make_service

KDS = "https://kdsintf.amd.com"
PCS = "https://api.trustedservices.intel.com"
VENDORS = Services()
PCCS = VENDORS.with_pccs("https://pccs:8081/")


@dataclass
class FakeServices:
    """Services that know some addresses, and remember what was asked."""

    answers: Mapping[str, bytes | Response]
    asked: list[str] = field(default_factory=list)

    async def get(self, url: str, *, most: int) -> Response:
        """Return the answer for an address."""
        self.asked.append(url)
        answer = self.answers.get(url)
        if answer is None:
            raise CollateralError(url, "not here", remedy="Ask for another.")
        response = answer if isinstance(answer, Response) else with_header(answer)
        assert len(response.body) <= most
        return response


def with_header(body: bytes, **headers: str) -> Response:
    """Return an answer with headers; their names have ``_`` for ``-``."""
    return Response(head=Head(status=200, headers={n.replace("_", "-"): v for n, v in headers.items()}), body=body)


def source(answers: Mapping[str, bytes | Response], services: Services | None = None) -> CollateralSource:
    """Return a source that asks fakes, at noon."""
    fetcher = Fetcher(FakeServices(answers), cache=None, clock=FixedClock())
    return CollateralSource(fetcher, services=services, clock=FixedClock())


# --- AMD


@pytest.fixture(scope="module", params=["Milan", "Genoa", "Turin"])
def chip(request: pytest.FixtureRequest) -> Chip:
    """A chip of each product line."""
    return make_chip(make_service(request.param))


def kds(chip: Chip, *, vlek: bool = False, **turned: bytes) -> dict[str, bytes | Response]:
    """Return what AMD's service knows of a chip."""
    line, kind = chip.service.line, "vlek" if vlek else "vcek"
    versions = "blSPL=04&teeSPL=01&snpSPL=24&ucodeSPL=219"
    versions = f"fmcSPL=02&{versions}" if line == "Turin" else versions
    hw_id = chip.chip_id[:8] if line == "Turin" else chip.chip_id
    known = {
        "vcek": chip.key.der,
        "chain": chip.service.authority.pem + chip.service.root.pem,
        "crl": make_crl(chip.service.root),
    } | turned
    return {
        f"{KDS}/vcek/v1/{line}/{hw_id.hex()}?{versions}": known["vcek"],
        f"{KDS}/{kind}/v1/{line}/cert_chain": known["chain"],
        f"{KDS}/{kind}/v1/{line}/crl": known["crl"],
    }


def bare(chip: Chip, **turned: object) -> Evidence:
    """Return a chip's report without endorsements."""
    return Evidence(format="sev-snp", report=make_report(chip, **turned), endorsements={})


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


# --- Intel


@pytest.fixture(scope="module")
def intel() -> Platform:
    """A platform below Intel's Platform CA."""
    return platform()


def pcs(intel: Platform, services: Services = VENDORS, tee: str = "tdx", **turned: object) -> dict[str, object]:
    """Return what Intel's service knows of a platform."""
    base = services.intel
    known = {
        "tcb": with_header(tcb_info_body(), tcb_info_issuer_chain=intel.header),
        "identity": identity_body(),
        "pck_crl": with_header(crl(intel.authority_key), sgx_pck_crl_issuer_chain=intel.header),
        "root_crl": crl(intel.authority_key, name="root"),
    } | turned
    return {
        f"{base}/{tee}/certification/v4/tcb?fmspc=00806f05a000": known["tcb"],
        f"{base}/{tee}/certification/v4/qe/identity": known["identity"],
        f"{base}/sgx/certification/v4/pckcrl?ca=platform&encoding=der": known["pck_crl"],
        services.intel_root_crl: known["root_crl"],
    }


def quote(intel: Platform, name: str = "tdx") -> Evidence:
    """Return a platform's quote without endorsements."""
    return Evidence(format=name, report=intel.quote, endorsements={})


@pytest.mark.parametrize("tee", ["sgx", "tdx"])
async def test_a_bare_quote_is_completed(intel: Platform, tee: str) -> None:
    """All six files of an evidence folder come, each as the service gave it."""
    known = pcs(intel, tee=tee)
    completed = await source(known).complete(quote(intel, tee))

    assert completed.endorsements == {
        "tcb_info.json": tcb_info_body(),
        "tcb_signing_chain.pem": intel.chain,
        "qe_identity.json": identity_body(),
        "pck_crl.der": known[f"{PCS}/sgx/certification/v4/pckcrl?ca=platform&encoding=der"].body,
        "pck_crl_issuer_chain.pem": intel.chain,
        "root_ca_crl.der": known["https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"],
    }
    assert await source({}).complete(completed) == completed


async def test_a_pccs_is_asked_in_place_of_intels_and_gives_lists_in_hex(intel: Platform) -> None:
    """A private cache serves the root's list too, in its own encoding."""
    root = crl(intel.authority_key, name="root")
    known = pcs(intel, PCCS, root_crl=root.hex().encode() + b"\n")
    completed = await source(known, PCCS).complete(quote(intel))

    assert completed.endorsements["root_ca_crl.der"] == root
    assert PCCS.intel_root_crl == "https://pccs:8081/sgx/certification/v4/rootcacrl"


async def test_the_other_authority_has_the_other_list() -> None:
    """A processor's PCK is revoked by the Processor CA's list."""
    urls = [each.url for each in needed(quote(platform(authority="Intel SGX PCK Processor CA")), services=Services())]
    assert f"{PCS}/sgx/certification/v4/pckcrl?ca=processor&encoding=der" in urls


@pytest.mark.parametrize("name", ["tcb_info.json", "qe_identity.json", "pck_crl.der", "root_ca_crl.der"])
async def test_what_is_past_its_end_is_replaced(intel: Platform, name: str) -> None:
    """Each file by itself, and the rest stays as it came."""
    completed = await source(pcs(intel)).complete(quote(intel))
    past = NOON - timedelta(seconds=1)
    stale = {
        "tcb_info.json": tcb_info_body(ends=past),
        "qe_identity.json": identity_body(ends=past),
        "pck_crl.der": crl(intel.authority_key, ends=past),
        "root_ca_crl.der": crl(intel.authority_key, ends=past),
    }[name]
    old = msgspec.structs.replace(completed, endorsements=completed.endorsements | {name: stale})

    renewed = await source(pcs(intel)).complete(old)
    assert renewed.endorsements[name] != stale


_PAST = NOON - DAY
_KEY = platform().authority_key


@pytest.mark.parametrize(
    ("turned", "problem"),
    [
        ({"tcb": with_header(tcb_info_body())}, "without the header"),
        ({"tcb": with_header(tcb_info_body(), tcb_info_issuer_chain="%2D%ZZ")}, "certificates"),
        ({"tcb": with_header(tcb_info_body(fmspc=bytes(6)), tcb_info_issuer_chain="")}, "another FMSPC"),
        ({"tcb": b"<html>"}, "not JSON"),
        ({"tcb": b"[" * 100_000}, "not JSON"),
        ({"tcb": b'{"tcbInfo": 7}'}, "without tcbInfo"),
        ({"identity": b'{"enclaveIdentity": {}}'}, "without a next update"),
        ({"identity": identity_body(ends=_PAST)}, "was to be used until"),
        ({"pck_crl": b""}, "without the header"),
        ({"root_crl": b"00ff"}, "not a revocation list"),
        ({"root_crl": crl(_KEY, ends=_PAST)}, "was to be used until"),
        ({"root_crl": without_next_update(crl(_KEY))}, "without a next update"),
    ],
    ids=[
        "no chain",
        "garbage chain",
        "fmspc",
        "html",
        "deep",
        "shape",
        "no end",
        "stale",
        "empty",
        "hex",
        "stale crl",
        "endless crl",
    ],
)
async def test_what_is_not_what_was_asked_for_is_refused(
    intel: Platform, turned: dict[str, object], problem: str
) -> None:
    """Each answer is read before it becomes an endorsement."""
    with pytest.raises(CollateralError, match=problem):
        await source(pcs(intel, **turned)).complete(quote(intel))


@pytest.mark.parametrize(
    "turned",
    [
        {"authority": "Somebody else"},
        {"extension": b"\x30\x00"},
        {"fmspc": bytes(5)},
        {"fmspc": bytes(7)},
        {"count": 2},
        {"count": 0},
    ],
    ids=["another issuer", "no fmspc", "short fmspc", "long fmspc", "two certificates", "none"],
)
def test_a_quote_that_does_not_say_its_platform_asks_for_nothing(turned: dict[str, object]) -> None:
    """An address is made of one FMSPC of six bytes, of one certificate of an issuer that is known."""
    with pytest.raises(EvidenceError):
        needed(quote(platform(**turned)), services=Services())


@given(data=st.binary(max_size=2000), name=st.sampled_from(COMPLETED_FORMATS))
def test_no_evidence_escapes_as_another_error(data: bytes, name: str) -> None:
    """Whatever the host sends as evidence."""
    with pytest.raises((EvidenceError, CollateralError)):
        needed(Evidence(format=name, report=data, endorsements={}), services=Services())


# --- Azure, and formats that need nothing


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


# --- Addresses of services


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
