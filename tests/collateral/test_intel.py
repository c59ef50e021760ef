"""SGX and TDX quotes that lack endorsements: what Intel's service is asked for, and what is added."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from enclaved.collateral.completion import needed
from enclaved.collateral.error import CollateralError
from enclaved.collateral.services import Services
from enclaved.errors import EvidenceError
from service_world import PCCS, PCS, pcs, quote, source, with_header
from simulation import NOON
from vendor_world import DAY, Platform, crl, identity_body, platform, tcb_info_body, without_next_update


@pytest.fixture(scope="module")
def intel() -> Platform:
    """A platform below Intel's Platform CA."""
    return platform()


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
