"""The closed table of the policy section ``[formats.sev-snp]``.

What decides whether the host can look in, or can run something else, is required
or has a strict default. What only narrows further which platforms are accepted
may be left out: the rule's `doc` says what is accepted then, and the verdict
lists the rule all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from enclaved.verifier.claims import Claims
from enclaved.verifier.comparisons import is_at_least, is_equal, is_one_of
from enclaved.verifier.rule import Rule, Waiver
from enclaved.verifier.snp.bits import OPTIONAL_POLICY_BITS, PLATFORM_INFO_BITS
from enclaved.verifier.snp.comparisons import (
    IF_PRESENT,
    REQUIRED,
    check_allowed,
    check_bits,
    check_csp,
    check_demanded,
    check_flags,
    check_minimum_tcb,
    check_revocation,
    check_version,
)
from enclaved.verifier.snp.report import SigningKey
from enclaved.verifier.snp.revocation import Revocation
from enclaved.verifier.snp.value_types import minimum_tcb, version
from enclaved.verifier.value_types import flag, hex_values, integer, integers, table, word, words

__all__ = ["RULES"]

_Value = TypeVar("_Value")
_HIGHEST_VMPL = 3
_UINT32, _UINT63 = (1 << 32) - 1, (1 << 63) - 1


def _vendor(name: str) -> Callable[[Claims], Any]:
    return lambda claims: claims.vendor[name]


def _flags(name: str) -> Callable[[Claims], Mapping[str, bool]]:
    return lambda claims: cast("Mapping[str, bool]", claims.vendor[name])


def _policy_bit(name: str) -> Callable[[Claims], bool]:
    return lambda claims: _flags("policy_bits")(claims)[name]


def _policy_abi(claims: Claims) -> tuple[int, ...]:
    bits = cast("Mapping[str, int]", claims.vendor["policy_bits"])
    return bits["abi_major"], bits["abi_minor"]


def _committed_version(claims: Claims) -> tuple[int, ...]:
    return tuple(cast("Mapping[str, int]", claims.vendor["committed_version"]).values())


def _product_and_tcb(claims: Claims) -> tuple[str, Mapping[str, int]]:
    return str(claims.vendor["product"]), cast("Mapping[str, int]", claims.vendor["reported_tcb"])


def _chip(claims: Claims) -> bytes | None:
    chip_id = cast("bytes", claims.vendor["chip_id"])
    return chip_id if any(chip_id) else None  # a host that masks it shows the same zeros for every chip


def _is_provisional(claims: Claims) -> bool:
    return any(claims.vendor[f"current_{name}"] != claims.vendor[f"committed_{name}"] for name in ("tcb", "version"))


def _only(found: _Value | None) -> frozenset[_Value]:
    return frozenset() if found is None else frozenset({found})


def _digests(key: str, size: int, doc: str) -> Rule[bytes, frozenset[bytes]]:
    """Return a rule on bytes that the guest's owner may have signed, and that says nothing where nobody did."""
    return Rule(
        key=key,
        type=hex_values(size),
        found=_vendor(key),
        check=is_one_of,
        doc=doc,
        default=Waiver.ANY,
        may_be_any=True,
        pinned=_only,
    )


_MEASUREMENT: Rule[bytes | None, frozenset[bytes]] = Rule(
    key="measurement",
    type=hex_values(48),
    found=lambda claims: claims.measurement,
    check=is_one_of,
    doc="launch digest: firmware, and with measured direct boot kernel, initrd and command line",
    required=True,
    may_be_any=True,
    unmeasured_if_any=True,
    pinned=_only,
)
_HOST_DATA: Rule[bytes, frozenset[bytes]] = Rule(
    key="host_data",
    type=hex_values(32),
    found=_vendor("host_data"),
    check=is_one_of,
    doc="what the host gave at launch, such as a digest of a configuration; all zero where it gave nothing",
    required=True,
    may_be_any=True,
    pinned=_only,
)
_MINIMUM_TCB: Rule[tuple[str, Mapping[str, int]], Mapping[str, Mapping[str, int]]] = Rule(
    key="minimum_tcb",
    type=minimum_tcb(),
    found=_product_and_tcb,
    check=check_minimum_tcb,
    doc="least reported_tcb for each product line that is accepted; older firmware has known holes",
    required=True,
    pinned=lambda found: {found[0]: found[1]},
)
_CHIPS: Rule[bytes | None, frozenset[bytes]] = Rule(
    key="chips",
    type=hex_values(64),
    found=_chip,
    check=is_one_of,
    doc="chip identifiers; a masked one is no chip's",
    required=True,
    may_be_any=True,
    pinned=_only,
)
_SIGNING_KEY: Rule[str, frozenset[str]] = Rule(
    key="signing_key",
    type=words(SigningKey.VCEK, SigningKey.VLEK),
    found=_vendor("signing_key"),
    check=is_one_of,
    doc="vcek: a key of the one chip; vlek: a key that AMD gives to a cloud provider for its chips",
    default=frozenset({SigningKey.VCEK.value}),
    pinned=_only,
)
_DEBUG: Rule[bool | None, bool] = Rule(
    key="debug",
    type=flag(),
    found=lambda claims: claims.debug,
    check=is_equal,
    doc="true: the host may decrypt the guest's memory",
    default=False,
)
_MIGRATION_AGENT: Rule[bool, bool] = Rule(
    key="migration_agent",
    type=flag(),
    found=_policy_bit("migrate_ma"),
    check=is_equal,
    doc="true: another guest, which the host chooses, may be given this guest's keys to move it",
    default=False,
)
_VMPL: Rule[int, frozenset[int]] = Rule(
    key="vmpl",
    type=integers(most=_HIGHEST_VMPL),
    found=_vendor("vmpl"),
    check=is_one_of,
    doc="privilege level of whoever asked for the report; 0 is the highest",
    default=frozenset({0}),
    pinned=_only,
)
_REVOCATION: Rule[str, str] = Rule(
    key="revocation",
    type=word(REQUIRED, IF_PRESENT),
    found=_vendor("revocation"),
    check=check_revocation,
    doc="required: a revocation list of the root's that is in force; if-present: none that is out of force",
    default=REQUIRED,
    may_be_any=True,
    pinned=lambda found: IF_PRESENT if found == Revocation.ABSENT else REQUIRED,
)
_SMT: Rule[bool, bool] = Rule(
    key="smt",
    type=flag(),
    found=_policy_bit("smt"),
    check=check_allowed,
    doc="false: refuse guests that may share a core with other software; left out, they are accepted",
    default=True,
    pinned=bool,
)
_SINGLE_SOCKET: Rule[bool, bool] = Rule(
    key="single_socket",
    type=flag(),
    found=_policy_bit("single_socket"),
    check=check_demanded,
    doc="true: demand guests that run on one socket only; left out, it is not demanded",
    default=False,
    pinned=bool,
)
_PROVISIONAL: Rule[bool, bool] = Rule(
    key="provisional_firmware",
    type=flag(),
    found=_is_provisional,
    check=check_allowed,
    doc="false: refuse firmware that the host can still roll back; left out, it is accepted, as it is usual on clouds",
    default=True,
    pinned=bool,
)
_MINIMUM_ABI: Rule[tuple[int, ...], tuple[int, ...]] = Rule(
    key="minimum_abi",
    type=version("major", "minor"),
    found=_policy_abi,
    check=check_version,
    doc="least firmware ABI that the guest's own policy demands of its host; left out, every one is accepted",
    default=(0, 0),
    pinned=lambda found: found,
)
_MINIMUM_FIRMWARE: Rule[tuple[int, ...], tuple[int, ...]] = Rule(
    key="minimum_firmware",
    type=version("major", "minor", "build"),
    found=_committed_version,
    check=check_version,
    doc="least committed firmware version; left out, minimum_tcb alone decides",
    default=(0, 0, 0),
    pinned=lambda found: found,
)
_MINIMUM_GUEST_SVN: Rule[int, int] = Rule(
    key="minimum_guest_svn",
    type=integer(most=_UINT32),
    found=_vendor("guest_svn"),
    check=is_at_least,
    doc="least security version of the guest; only an id_key_digest that is listed gives it a meaning",
    default=0,
    pinned=lambda found: found,
)
_CURRENT_MIT_VECTOR: Rule[int | None, int] = Rule(
    key="current_mit_vector",
    type=integer(most=_UINT63),
    found=_vendor("current_mit_vector"),
    check=check_bits,
    doc="bits that have to be set: mitigations that the firmware has in force; left out, none is demanded",
    default=0,
    pinned=lambda found: (found or 0) & _UINT63,
)
_POLICY_BITS: Rule[Mapping[str, bool], Mapping[str, bool]] = Rule(
    key="policy_bits",
    type=table(flag(), keys=tuple(OPTIONAL_POLICY_BITS)),
    found=_flags("policy_bits"),
    check=check_flags,
    doc="further bits of the guest's policy, each true or false; what is left out may be either",
    default=Waiver.ANY,
    may_be_any=True,
    pinned=lambda found: {name: found[name] for name in OPTIONAL_POLICY_BITS},
)
_PLATFORM_INFO: Rule[Mapping[str, bool], Mapping[str, bool]] = Rule(
    key="platform_info",
    type=table(flag(), keys=tuple(PLATFORM_INFO_BITS)),
    found=_flags("platform_info_bits"),
    check=check_flags,
    doc="what the platform has switched on, each true or false; what is left out may be either",
    default=Waiver.ANY,
    may_be_any=True,
    pinned=dict,
)
_CSP_ID: Rule[str | None, frozenset[str]] = Rule(
    key="csp_id",
    type=words(),
    found=_vendor("csp_id"),
    check=check_csp,
    doc="cloud providers, by the name in a VLEK's certificate; left out, every provider's is accepted",
    default=Waiver.ANY,
    may_be_any=True,
    pinned=_only,
)

RULES: tuple[Rule[Any, Any], ...] = (
    _MEASUREMENT,
    _HOST_DATA,
    _MINIMUM_TCB,
    _SIGNING_KEY,
    _DEBUG,
    _MIGRATION_AGENT,
    _VMPL,
    _CHIPS,
    _REVOCATION,
    _digests("id_key_digest", 48, "key that signed the guest's identity; left out, measurement alone decides"),
    _digests("author_key_digest", 48, "key that signed the identity's key; left out, measurement alone decides"),
    _digests("family_id", 16, "family in the signed identity; only a listed id_key_digest gives it a meaning"),
    _digests("image_id", 16, "image in the signed identity; only a listed id_key_digest gives it a meaning"),
    _MINIMUM_GUEST_SVN,
    _MINIMUM_ABI,
    _MINIMUM_FIRMWARE,
    _SMT,
    _SINGLE_SOCKET,
    _PROVISIONAL,
    _CURRENT_MIT_VECTOR,
    _POLICY_BITS,
    _PLATFORM_INFO,
    _CSP_ID,
)
