"""Services that know some addresses, and what AMD's and Intel's know there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from enclaved.collateral.completion import CollateralSource
from enclaved.collateral.error import CollateralError
from enclaved.collateral.fetcher import Fetcher
from enclaved.collateral.response import Head, Response
from enclaved.collateral.services import Services
from enclaved.wire.attestation import Evidence
from simulation import FixedClock
from vendor_world import Platform, crl, identity_body, tcb_info_body
from verifier.snp.snp_forgery import Chip, make_crl, make_report

__all__ = ["KDS", "PCCS", "PCS", "VENDORS", "FakeServices", "bare", "kds", "pcs", "quote", "source", "with_header"]

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
