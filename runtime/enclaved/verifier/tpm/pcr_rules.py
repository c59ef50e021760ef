"""The rules on what a quote says of a machine's boot, for every format that holds a quote."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.comparisons import all_one_of, is_one_of
from enclaved.verifier.rule import Rule, Waiver
from enclaved.verifier.tpm.quote import DIGEST_SIZES
from enclaved.verifier.value_types import hex_values, table

__all__ = ["EVENTS", "FIRMWARE_VERSION", "PCRS"]

_COUNT = 24
_LASTING = tuple(f"pcr{index}" for index in range(16))
"""Those that only a restart resets; the others a program, or a debugger, may set back (PC Client profile, 3.3.4)."""
_DIGESTS = hex_values(*DIGEST_SIZES.values())
_TABLE = table(_DIGESTS, keys=tuple(f"pcr{index}" for index in range(_COUNT)))
_TABLE_NAME = f"a table of lists of 32, 48 or 64-byte hex values under pcr0 to pcr{_COUNT - 1}"


def _by_name(claim: str) -> Callable[[Claims], Any]:
    def found(claims: Claims) -> Mapping[str, Any] | None:
        values = cast("Mapping[str, Any] | None", claims.vendor[claim])
        return None if values is None else {f"pcr{index}": value for index, value in values.items()}

    return found


def _check_pcrs(checks: Checks, key: str, found: Mapping[str, bytes], wanted: Mapping[str, frozenset[bytes]]) -> None:
    """Want each PCR that the policy names to be one of its values, and one among them that lasts and is not zero.

    Raises:
        AppraisalError: one is another or did not come along, or those named measure nothing: nothing
            was extended into them, or a program may have set them back.
    """
    for name, values in sorted(wanted.items()):
        is_one_of(checks, f"{key}.{name}", found.get(name), values)
    measured = sorted(name for name in wanted if name in _LASTING and any(found.get(name, b"")))
    checks.acceptable(key, found=measured, wanted="one of pcr0 to pcr15, and not zero", ok=bool(measured))


def _check_events(
    checks: Checks, key: str, found: Mapping[str, Sequence[bytes]] | None, wanted: Mapping[str, frozenset[bytes]]
) -> None:
    """Want every event of each PCR that the policy names to be one of its digests.

    Raises:
        AppraisalError: one is not, or no log came along that shows them.
    """
    for name, digests in sorted(wanted.items()):
        events = (found or {}).get(name)
        if events is None:
            raise checks.not_acceptable(f"{key}.{name}", found=events, wanted=digests)
        all_one_of(checks, f"{key}.{name}", events, digests)


PCRS: Rule[Mapping[str, bytes], Mapping[str, frozenset[bytes]]] = Rule(
    key="pcrs",
    type=replace(_TABLE, name=_TABLE_NAME),
    found=_by_name("pcrs"),
    check=_check_pcrs,
    doc="PCRs, each with the values that it may have; one of pcr0 to pcr15 has to be among them",
    required=True,
    may_be_any=True,
    unmeasured_if_any=True,
    pinned=lambda found: {name: frozenset({found[name]}) for name in _LASTING if any(found.get(name, b""))},
)
EVENTS: Rule[Mapping[str, Sequence[bytes]] | None, Mapping[str, frozenset[bytes]]] = Rule(
    key="events",
    type=replace(_TABLE, name=_TABLE_NAME),
    found=_by_name("events"),
    check=_check_events,
    doc="PCRs, each with the digests that may have been extended into it, by the event log; left out, pcrs decides",
    default=Waiver.ANY,
    may_be_any=True,
)
FIRMWARE_VERSION: Rule[bytes, frozenset[bytes]] = Rule(
    key="firmware_version",
    type=hex_values(8),
    found=lambda claims: cast("bytes", claims.vendor["firmware_version"]),
    check=is_one_of,
    doc="firmware versions of the TPM, in the eight bytes that its maker defines; left out, every one is accepted",
    default=Waiver.ANY,
    may_be_any=True,
)
