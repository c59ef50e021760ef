"""The closed table of the policy section ``[formats.token]``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

from enclaved.verifier.claims import Claims
from enclaved.verifier.comparisons import is_equal, is_one_of
from enclaved.verifier.confidentiality import ACCEPT_NOT_CONFIDENTIAL
from enclaved.verifier.rule import Rule, Waiver
from enclaved.verifier.token.azure import AZURE
from enclaved.verifier.token.comparisons import (
    OfKind,
    all_listed,
    check_age,
    check_any_of,
    check_demanded,
    check_stated_status,
    for_kind,
    has_listed,
    is_listed,
)
from enclaved.verifier.token.ear import EAR, STATUSES
from enclaved.verifier.token.google import GOOGLE
from enclaved.verifier.value_types import duration, fingerprints, flag, hex_values, words

__all__ = ["RULES"]

_Words = frozenset[str]


def _vendor(name: str) -> Callable[[Claims], Any]:
    return lambda claims: claims.vendor[name]


def _with_kind(name: str) -> Callable[[Claims], OfKind]:
    return lambda claims: (str(claims.vendor["kind"]), claims.vendor[name])


def _age(claims: Claims) -> timedelta:
    return timedelta(seconds=cast("int", claims.vendor["age_s"]))


def _only(found: Any) -> frozenset[Any]:  # noqa: ANN401 - whatever a rule finds
    return frozenset() if found is None else frozenset({found})


_ISSUER: Rule[str, _Words] = Rule(
    key="issuer",
    type=words(),
    found=_vendor("iss"),
    check=is_one_of,
    doc="who issued it, exactly as the token writes it",
    required=True,
    pinned=_only,
)
_KEYS: Rule[str, _Words] = Rule(
    key="keys",
    type=fingerprints(),
    found=_vendor("key"),
    check=is_one_of,
    doc="the issuer's keys, by the SHA-256 thumbprint of RFC 7638; whoever holds one can write any claim",
    required=True,
    pinned=_only,
)
_AUDIENCE: Rule[tuple[str, ...], _Words] = Rule(
    key="audience",
    type=words(),
    found=_vendor("aud"),
    check=check_any_of,
    doc="whom it was issued for; Azure's tokens are for nobody, and need the waiver",
    required=True,
    may_be_any=True,
    pinned=frozenset,
)
_HARDWARE: Rule[str | None, _Words] = Rule(
    key="hardware",
    type=words(),
    found=_vendor("hardware"),
    check=is_one_of,
    doc="the kind of machine in the issuer's words, such as sevsnpvm or GCP_INTEL_TDX; an EAR does not say",
    required=True,
    may_be_any=True,
    pinned=_only,
)
_MEASUREMENT: Rule[bytes | None, frozenset[bytes]] = Rule(
    key="measurement",
    type=hex_values(32, 48),
    found=lambda claims: claims.measurement,
    check=is_one_of,
    doc="Google: the container's image digest; Azure: launch measurement, MRTD or MRENCLAVE; an EAR does not say",
    required=True,
    may_be_any=True,
    unmeasured_if_any=True,
    pinned=_only,
)
_DEBUG: Rule[bool | None, bool] = Rule(
    key="debug",
    type=flag(),
    found=lambda claims: claims.debug,
    check=is_equal,
    doc="true: host or operator may look in; an EAR does not say, and needs the waiver",
    default=False,
    may_be_any=True,
)
_OS_DEBUG: Rule[bool, bool] = Rule(
    key="os_debug",
    type=flag(),
    found=_vendor("os_debug"),
    check=is_equal,
    doc="true: Azure says that boot, hypervisor or kernel is being debugged",
    default=False,
)
_SECURE_BOOT: Rule[bool | None, bool] = Rule(
    key="secure_boot",
    type=flag(),
    found=_vendor("secure_boot"),
    check=check_demanded,
    doc="true: only signed software was booted; false: that need not be so, nor stated",
    default=True,
)
_MAX_AGE: Rule[timedelta, timedelta] = Rule(
    key="max_age",
    type=duration(),
    found=_age,
    check=check_age,
    doc="how long ago it may have been issued, within its own validity",
    default=timedelta(hours=1),
    may_be_any=True,
)
_TCB_STATUS: Rule[str | None, _Words] = Rule(
    key="tcb_status",
    type=words(),
    found=lambda claims: claims.tcb_status,
    check=check_stated_status,
    doc="the platform's status where the token states one; most do not",
    default=frozenset({"UpToDate"}),
    may_be_any=True,
)
_COMPLIANCE: Rule[OfKind, _Words] = Rule(
    key="compliance_status",
    type=words(),
    found=_with_kind("compliance_status"),
    check=for_kind(AZURE, is_listed),
    doc="Azure: its word on the whole; tokens about SGX have none, and need the waiver",
    default=frozenset({"azure-compliant-cvm"}),
    may_be_any=True,
)
_POLICY_HASH: Rule[str | None, _Words] = Rule(
    key="policy_hash",
    type=words(),
    found=_vendor("policy_hash"),
    check=is_one_of,
    doc="Azure: the attestation policy that it applied, as the token writes it; left out, every one is accepted",
    default=Waiver.ANY,
    may_be_any=True,
    pinned=_only,
)
_HOST_DATA: Rule[bytes | None, frozenset[bytes]] = Rule(
    key="host_data",
    type=hex_values(32),
    found=_vendor("host_data"),
    check=is_one_of,
    doc="Azure on SEV-SNP: what was given at launch, such as a container policy's digest; left out, every value is",
    default=Waiver.ANY,
    may_be_any=True,
    pinned=_only,
)
_SOFTWARE: Rule[OfKind, _Words] = Rule(
    key="software",
    type=words(),
    found=_with_kind("software"),
    check=for_kind(GOOGLE, is_listed),
    doc="Google: the kind of image",
    default=frozenset({"CONFIDENTIAL_SPACE"}),
    may_be_any=True,
)
_SUPPORT: Rule[OfKind, _Words] = Rule(
    key="support_attributes",
    type=words(),
    found=_with_kind("support_attributes"),
    check=for_kind(GOOGLE, has_listed),
    doc="Google: one of these has to be stated of the image; debug images have none",
    default=frozenset({"STABLE"}),
    may_be_any=True,
)
_APPRAISAL: Rule[OfKind, _Words] = Rule(
    key="appraisal",
    type=words(*STATUSES),
    found=_with_kind("appraisal"),
    check=for_kind(EAR, all_listed),
    doc="EAR: the status that every appraised part has to have",
    default=frozenset({"affirming"}),
)
_SUBJECT: Rule[str | None, _Words] = Rule(
    key="subject",
    type=words(),
    found=_vendor("sub"),
    check=is_one_of,
    doc="whom it is about, such as a machine's path; left out, everybody is accepted",
    default=Waiver.ANY,
    may_be_any=True,
    pinned=_only,
)

RULES: tuple[Rule[Any, Any], ...] = (
    _ISSUER,
    _KEYS,
    _AUDIENCE,
    _HARDWARE,
    _MEASUREMENT,
    _DEBUG,
    _OS_DEBUG,
    _SECURE_BOOT,
    _MAX_AGE,
    _TCB_STATUS,
    _COMPLIANCE,
    _POLICY_HASH,
    _HOST_DATA,
    _SOFTWARE,
    _SUPPORT,
    _APPRAISAL,
    _SUBJECT,
    ACCEPT_NOT_CONFIDENTIAL,
)
