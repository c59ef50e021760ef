"""The closed table of the policy section ``[formats.tdx]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from enclaved.verifier.claims import Claims
from enclaved.verifier.comparisons import is_one_of
from enclaved.verifier.dcap.comparisons import check_allowed, check_demanded
from enclaved.verifier.dcap.platform_rules import PLATFORM_RULES, digests
from enclaved.verifier.rule import Rule
from enclaved.verifier.value_types import flag, hex_values

__all__ = ["TDX_RULES"]

_NO_SERVICE_TD = bytes(48)


def _bit(name: str) -> Callable[[Claims], bool]:
    return lambda claims: cast("Mapping[str, bool]", claims.vendor["td_attribute_bits"])[name]


def _has_unknown_attributes(claims: Claims) -> bool:
    return any(cast("bytes", claims.vendor["unknown_td_attributes"]))


def _service_td(claims: Claims) -> bytes:
    return cast("bytes | None", claims.vendor["mr_service_td"]) or _NO_SERVICE_TD  # TD 1.0 can have none


_SEPT_VE_DISABLE: Rule[bool, bool] = Rule(
    key="sept_ve_disable",
    type=flag(),
    found=_bit("sept_ve_disable"),
    check=check_demanded,
    doc="true: the host must not be able to turn the guest's memory accesses into exceptions; false: it may",
    default=True,
)
_MIGRATABLE: Rule[bool, bool] = Rule(
    key="migratable",
    type=flag(),
    found=_bit("migratable"),
    check=check_allowed,
    doc="true: a migration TD that the host chooses may take the guest and its secrets to another machine",
    default=False,
)
_PERFMON: Rule[bool, bool] = Rule(
    key="perfmon",
    type=flag(),
    found=_bit("perfmon"),
    check=check_allowed,
    doc="true: the guest may use performance counters, a side channel",
    default=False,
)
_UNKNOWN_ATTRIBUTES: Rule[bool, bool] = Rule(
    key="unknown_attributes",
    type=flag(),
    found=_has_unknown_attributes,
    check=check_allowed,
    doc="true: attributes may be set that have no name here",
    default=False,
)
_MR_SERVICE_TD: Rule[bytes, frozenset[bytes]] = Rule(
    key="mr_service_td",
    type=hex_values(48),
    found=_service_td,
    check=is_one_of,
    doc="service TDs that are bound to the guest, such as a migration TD; zero for none",
    default=frozenset({_NO_SERVICE_TD}),
    may_be_any=True,
)
TDX_RULES: tuple[Rule[Any, Any], ...] = (
    digests("mr_td", 48, "measurement of the initial contents: the firmware", required=True, is_code=True),
    digests("rtmr0", 48, "firmware's configuration, by convention; left out, every one is accepted"),
    digests("rtmr1", 48, "kernel and boot loader, by convention", required=True, is_code=True),
    digests("rtmr2", 48, "command line and initial RAM disk, by convention", required=True, is_code=True),
    digests("rtmr3", 48, "the guest's own use, such as containers; left out, every value is accepted"),
    *PLATFORM_RULES,
    _SEPT_VE_DISABLE,
    _MIGRATABLE,
    _MR_SERVICE_TD,
    _PERFMON,
    _UNKNOWN_ATTRIBUTES,
    digests("xfam", 8, "extended processor features that the guest may use; left out, all are accepted"),
    digests("mr_seam", 48, "TDX module; left out, tcb_status alone decides"),
    digests("mr_config_id", 48, "what the host gave at launch, such as a configuration's digest"),
    digests("mr_owner", 48, "what the host gave as the owner"),
    digests("mr_owner_config", 48, "what the host gave as the owner's configuration"),
)
