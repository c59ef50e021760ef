"""The closed table of the policy section ``[formats.tpm]``."""

from __future__ import annotations

from typing import Any

from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.confidentiality import ACCEPT_NOT_CONFIDENTIAL
from enclaved.verifier.rule import Rule
from enclaved.verifier.tpm.pcr_rules import EVENTS, FIRMWARE_VERSION, PCRS
from enclaved.verifier.value_types import fingerprints, flag

__all__ = ["RULES"]


def _voucher(claims: Claims) -> tuple[str, str | None]:
    root = claims.vendor["ak_root"]
    return str(claims.vendor["ak"]), None if root is None else str(root)


def _check_voucher(checks: Checks, key: str, found: tuple[str, str | None], wanted: frozenset[str]) -> None:
    """Want the attestation key among the policy's, or a root among them that ends its certificates.

    Raises:
        AppraisalError: neither is.
    """
    checks.acceptable(
        key, found=[each for each in found if each], wanted=wanted, ok=any(each in wanted for each in found)
    )


def _check_implementation(checks: Checks, key: str, found: object, allowed: object) -> None:
    """Want a TPM that does not show itself to be a program, unless the policy accepts one.

    Raises:
        AppraisalError: it does, and the policy does not.
    """
    checks.acceptable(key, found=found, wanted="any" if allowed is True else None, ok=found is None or allowed is True)


_AK: Rule[tuple[str, str | None], frozenset[str]] = Rule(
    key="ak",
    type=fingerprints(),
    found=_voucher,
    check=_check_voucher,
    doc="attestation keys by the SHA-256 of their SubjectPublicKeyInfo, or roots that certify such keys",
    required=True,
    pinned=lambda found: frozenset({found[0]}),
)
_SOFTWARE: Rule[object, bool] = Rule(
    key="software",
    type=flag(),
    found=lambda claims: claims.vendor["implementation"],
    check=_check_implementation,
    doc="true: accept a TPM that shows itself to be a program, whose keys its host can read",
    default=False,
    pinned=lambda found: found is not None,
)

RULES: tuple[Rule[Any, Any], ...] = (_AK, PCRS, EVENTS, FIRMWARE_VERSION, _SOFTWARE, ACCEPT_NOT_CONFIDENTIAL)
