"""The closed table of the policy section ``[formats.nitro]``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.comparisons import is_equal, is_one_of
from enclaved.verifier.rule import Rule
from enclaved.verifier.value_types import duration, flag, hex_values, table

__all__ = ["RULES"]

_PCRS = table(hex_values(48), keys=tuple(f"pcr{index}" for index in range(32)))
_CODE = (
    frozenset({"pcr0"}),  # the whole image
    frozenset({"pcr1", "pcr2"}),  # kernel and boot RAM disk; application
    frozenset({"pcr8"}),  # the certificate that signed the image
)
_DRAFTED = ("pcr0", "pcr1", "pcr2", "pcr8")
_SKEW = timedelta(minutes=1)  # how far a relying party's clock may lag behind AWS's


def _pcrs(claims: Claims) -> Mapping[str, bytes]:
    pcrs = cast("Mapping[str, bytes]", claims.vendor["pcrs"])
    return {f"pcr{index}": value for index, value in pcrs.items()}


def _age(claims: Claims) -> timedelta:
    return timedelta(milliseconds=cast("int", claims.vendor["age_ms"]))


def _check_pcrs(checks: Checks, key: str, found: Mapping[str, bytes], wanted: Mapping[str, frozenset[bytes]]) -> None:
    """Want each PCR that the policy names to be one of its values, and the code to be among what they measure.

    Raises:
        AppraisalError: one is another or missing, or those named do not say what code runs: a debug
            enclave's PCRs are zero whatever it runs, and so is PCR 8 of an image that nobody signed.
    """
    for name, values in sorted(wanted.items()):
        is_one_of(checks, f"{key}.{name}", found.get(name), values)
    measured = {name for name in wanted if any(found.get(name, b""))}
    checks.acceptable(
        key,
        found=sorted(measured),
        wanted="pcr0, or pcr1 with pcr2, or pcr8, and not zero",
        ok=any(code <= measured for code in _CODE),
    )


def _check_age(checks: Checks, key: str, found: timedelta, wanted: timedelta) -> None:
    """Want a document that is not older than the policy's age, nor from a future that no clock's error explains.

    Raises:
        AppraisalError: it is.
    """
    checks.acceptable(
        key,
        found=f"{found.total_seconds():.3f}s",
        wanted=f"{-_SKEW.total_seconds():.0f}s to {wanted.total_seconds():.0f}s",
        ok=-_SKEW <= found <= wanted,
    )


_PCR_RULE: Rule[Mapping[str, bytes], Mapping[str, frozenset[bytes]]] = Rule(
    key="pcrs",
    type=replace(_PCRS, name="a table of lists of 48-byte hex values under pcr0 to pcr31"),
    found=_pcrs,
    check=_check_pcrs,
    doc="PCRs, each with the values that it may have; pcr0, or pcr1 with pcr2, or pcr8 has to be among them",
    required=True,
    may_be_any=True,
    unmeasured_if_any=True,
    pinned=lambda found: {name: frozenset({found[name]}) for name in _DRAFTED if any(found.get(name, b""))},
)
_DEBUG: Rule[bool | None, bool] = Rule(
    key="debug",
    type=flag(),
    found=lambda claims: claims.debug,
    check=is_equal,
    doc="true: PCR 0 to 2 are zero, the host reads the enclave's console, and nothing says what code runs",
    default=False,
)
_MAX_DOCUMENT_AGE: Rule[timedelta, timedelta] = Rule(
    key="max_document_age",
    type=duration(),
    found=_age,
    check=_check_age,
    doc="greatest age of the document at the time of the verification",
    default=timedelta(hours=1),
    may_be_any=True,
)

RULES: tuple[Rule[Any, Any], ...] = (_PCR_RULE, _DEBUG, _MAX_DOCUMENT_AGE)
