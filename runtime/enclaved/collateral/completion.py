"""Evidence, completed with what its vendor says of the machine that made it.

An attester in an enclave has no network of its own, and a host may leave out what
does not suit it. So the relying party fetches what is missing, and what may no
longer be used; what came along and is in force stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import anyio
import msgspec

from enclaved.clock import Clock, SystemClock
from enclaved.collateral.amd import amd_resources
from enclaved.collateral.error import CollateralError
from enclaved.collateral.fetcher import Fetcher
from enclaved.collateral.intel import intel_resources
from enclaved.collateral.resource import Files, Resource
from enclaved.collateral.services import Services
from enclaved.errors import EvidenceError
from enclaved.wire.attestation import Evidence

__all__ = ["COMPLETED_FORMATS", "CollateralSource", "needed"]

_HCL_MAGIC = b"HCLA"
_HCL_REPORT, _SNP_SIZE = 0x20, 0x4A0  # after the header; 1184 bytes
_HCL_TYPE = 0x4C8
_HCL_SNP, _HCL_TDX = 2, 4
_TD_QUOTE = "td_quote.bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    evidence: Evidence
    services: Services
    product: str | None


def _snp(question: _Question) -> tuple[Resource, ...]:
    return _amd(question.evidence.report, question)


def _amd(report: bytes, question: _Question) -> tuple[Resource, ...]:
    endorsed = question.evidence.endorsements
    return amd_resources(report, endorsed, base=question.services.amd, product=question.product)


def _sgx(question: _Question) -> tuple[Resource, ...]:
    return intel_resources(question.evidence.report, tee="sgx", services=question.services)


def _tdx(question: _Question) -> tuple[Resource, ...]:
    return intel_resources(question.evidence.report, tee="tdx", services=question.services)


def _azure(question: _Question) -> tuple[Resource, ...]:
    """Look at the hardware's own report, which Azure's firmware wraps."""
    blob = question.evidence.report
    kind = int.from_bytes(blob[_HCL_TYPE : _HCL_TYPE + 4], "little")
    if not blob.startswith(_HCL_MAGIC) or kind not in (_HCL_SNP, _HCL_TDX):
        raise EvidenceError("unreadable", "hcl report", found="another blob", wanted="an HCL report with SNP or TDX")
    if kind == _HCL_SNP:
        return _amd(blob[_HCL_REPORT : _HCL_REPORT + _SNP_SIZE], question)
    quote = question.evidence.endorsements.get(_TD_QUOTE)
    if quote is None:
        raise EvidenceError("unreadable", _TD_QUOTE, found="no such file", wanted="the TD quote over the HCL report")
    return intel_resources(quote, tee="tdx", services=question.services)


_NEEDS: Mapping[str, Callable[[_Question], tuple[Resource, ...]]] = MappingProxyType(
    {"sev-snp": _snp, "sgx": _sgx, "tdx": _tdx, "azure-vtpm": _azure}
)

COMPLETED_FORMATS = tuple(_NEEDS)
"""The formats whose evidence needs more than it carries; all others carry all of it."""


def needed(evidence: Evidence, *, services: Services, product: str | None = None) -> tuple[Resource, ...]:
    """Return what evidence needs that a vendor's service knows, whether it came along or not.

    Args:
        evidence: the evidence, from anywhere; nothing in it is verified.
        services: where to ask.
        product: AMD's product line, such as ``"milan"``, where the report is too old to say it.

    Returns:
        What it needs; nothing where the format's evidence carries all of it.

    Raises:
        EvidenceError: the evidence cannot be read far enough to know.
        CollateralError: what it needs is not a service's to give.
    """
    needs = _NEEDS.get(evidence.format)
    return needs(_Question(evidence=evidence, services=services, product=product)) if needs else ()


class CollateralSource:
    """Completes evidence.

    Args:
        fetcher: gets things from services and keeps them.
        services: where to ask.
        clock: tells until when what came along may be used.
    """

    def __init__(self, fetcher: Fetcher, *, services: Services | None = None, clock: Clock | None = None) -> None:
        self._fetcher = fetcher
        self._services = services or Services()
        self._clock = clock or SystemClock()

    async def complete(self, evidence: Evidence, *, product: str | None = None) -> Evidence:
        """Return evidence with what its format needs added.

        Args:
            evidence: the evidence, from anywhere; nothing in it is verified, here or by this.
            product: AMD's product line, such as ``"milan"``, where the report is too old to say it.

        Returns:
            The same report, with endorsements added that were missing and those replaced that are
            past their end; as it was where nothing is.

        Raises:
            EvidenceError: the evidence cannot be read far enough to know what it needs.
            CollateralError: something that it needs cannot be had.
        """
        now = self._clock.now()
        missing = [
            each
            for each in needed(evidence, services=self._services, product=product)
            if not each.in_force(evidence.endorsements, at=now)
        ]
        added = await self._get_all(missing)
        return msgspec.structs.replace(evidence, endorsements={**evidence.endorsements, **added})

    async def _get_all(self, resources: list[Resource]) -> Files:
        found: dict[str, bytes] = {}
        failed: list[CollateralError] = []
        async with anyio.create_task_group() as group:

            async def get(resource: Resource) -> None:
                try:
                    found.update(await self._fetcher.get(resource))
                except CollateralError as error:
                    failed.append(error)
                    group.cancel_scope.cancel()  # one thing missing is enough: nobody waits for the rest

            for each in resources:
                group.start_soon(get, each, name=f"collateral: {each.title}")
        if failed:
            raise failed[0]
        return found
