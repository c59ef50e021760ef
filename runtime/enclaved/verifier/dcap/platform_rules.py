"""The rules that TDX and SGX share: what the policy says on platforms, whatever runs there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from enclaved.verifier.claims import Claims
from enclaved.verifier.comparisons import is_at_least, is_equal, is_one_of
from enclaved.verifier.dcap.comparisons import (
    IF_PRESENT,
    REQUIRED,
    check_advisories,
    check_flags,
    check_revocation,
    check_second_opinion,
)
from enclaved.verifier.dcap.tcb_status import TcbStatus
from enclaved.verifier.rule import Rule, Waiver
from enclaved.verifier.value_type import ValueType
from enclaved.verifier.value_types import flag, hex_values, integer, table, word, words

__all__ = ["PLATFORM_RULES", "digests", "only", "vendor"]

_Value = TypeVar("_Value")
_UINT32 = (1 << 32) - 1
_STATUSES = tuple(each.value for each in TcbStatus if each is not TcbStatus.REVOKED)


def vendor(name: str) -> Callable[[Claims], Any]:
    """Return what takes a vendor's claim out of claims."""
    return lambda claims: claims.vendor[name]


def only(found: _Value | None) -> frozenset[_Value]:
    """Return the list that accepts exactly what was found."""
    return frozenset() if found is None else frozenset({found})


def digests(key: str, size: int, doc: str, *, required: bool = False, is_code: bool = False) -> Rule[Any, Any]:
    """Return a rule on the bytes of one field.

    Args:
        key: the rule's key, and the claim's name.
        size: how many bytes.
        doc: what the rule is about.
        required: does the policy have to hold it; it is waived by default otherwise.
        is_code: would a waiver leave code unmeasured.
    """
    return Rule(
        key=key,
        type=hex_values(size),
        found=vendor(key),
        check=is_one_of,
        doc=doc,
        required=required,
        default=None if required else Waiver.ANY,
        may_be_any=True,
        unmeasured_if_any=is_code,
        pinned=only,
    )


def _evaluation_number(claims: Claims) -> int:
    return min(cast("int", claims.vendor[f"{part}tcb_evaluation_data_number"]) for part in ("", "qe_"))


def _advisories() -> ValueType[frozenset[str]]:
    """Take a list of advisories, which may be empty: then none is accepted."""
    listed = words()
    return ValueType(
        name="list of texts, empty for none",
        parse=lambda value: frozenset() if value == [] else listed.parse(value),
        write=listed.write,
    )


_TCB_STATUS: Rule[str | None, frozenset[str]] = Rule(
    key="tcb_status",
    type=words(*_STATUSES),
    found=lambda claims: claims.tcb_status,
    check=is_one_of,
    doc="Intel's word on the versions of platform, quoting enclave and TDX module together",
    default=frozenset({TcbStatus.UP_TO_DATE.value}),
)
_ADVISORIES: Rule[tuple[str, ...], frozenset[str]] = Rule(
    key="advisories",
    type=_advisories(),
    found=vendor("advisories"),
    check=check_advisories,
    doc="security advisories that are known and accepted, such as INTEL-SA-00615; left out, none is",
    default=frozenset(),
    may_be_any=True,
)
_DEBUG: Rule[bool | None, bool] = Rule(
    key="debug",
    type=flag(),
    found=lambda claims: claims.debug,
    check=is_equal,
    doc="true: the host may read and change the memory",
    default=False,
)
_REVOCATION: Rule[str, str] = Rule(
    key="revocation",
    type=word(REQUIRED, IF_PRESENT),
    found=vendor("revocation"),
    check=check_revocation,
    doc="required: both revocation lists, in force; if-present: none that is out of force",
    default=REQUIRED,
    may_be_any=True,
)
_SECOND_OPINION: Rule[str, str] = Rule(
    key="second_opinion",
    type=word(REQUIRED),
    found=vendor("second_opinion"),
    check=check_second_opinion,
    doc="required: dcap-qvl was asked as well; it cannot be where a rule for debug, attributes or revocation is waived",
    default=REQUIRED,
    may_be_any=True,
)
_EVALUATION: Rule[int, int] = Rule(
    key="minimum_tcb_evaluation_data_number",
    type=integer(most=_UINT32),
    found=_evaluation_number,
    check=is_at_least,
    doc="least number of Intel's evaluation of platform and quoting enclave; left out, every one in force is accepted",
    default=0,
)
_CONFIGURATION: Rule[Mapping[str, bool], Mapping[str, bool]] = Rule(
    key="platform_configuration",
    type=table(flag(), keys=("dynamic_platform", "cached_keys", "smt_enabled")),
    found=vendor("platform_configuration"),
    check=check_flags,
    doc="how the platform was set up, each true or false; what is left out may be either",
    default=Waiver.ANY,
    may_be_any=True,
)
PLATFORM_RULES: tuple[Rule[Any, Any], ...] = (
    _TCB_STATUS,
    _ADVISORIES,
    _DEBUG,
    _REVOCATION,
    _SECOND_OPINION,
    _EVALUATION,
    digests("fmspc", 6, "platform families; left out, every one is accepted"),
    digests("ppid", 16, "platforms, by the identifier in the PCK's certificate; left out, every one is accepted"),
    digests("platform_instance_id", 16, "platforms of several packages; left out, every one is accepted"),
    _CONFIGURATION,
)
