"""The closed table of the policy section ``[formats.sgx]``.

An enclave is told by its measurement, or by who signed it as which product in
which version. A policy writes one of the two; which keys belong together, the
format says (`Format.alternatives`).
"""

from __future__ import annotations

from typing import Any

from enclaved.verifier.comparisons import is_at_least, is_one_of
from enclaved.verifier.dcap.platform_rules import PLATFORM_RULES, digests, only, vendor
from enclaved.verifier.rule import Rule
from enclaved.verifier.value_types import integer, integers

__all__ = ["SGX_ALTERNATIVES", "SGX_RULES"]

_UINT16 = (1 << 16) - 1
_ISV_PROD_ID: Rule[int, frozenset[int]] = Rule(
    key="isv_prod_id",
    type=integers(most=_UINT16),
    found=vendor("isv_prod_id"),
    check=is_one_of,
    doc="the signer's products; without it, every enclave that the signer ever signed is accepted",
    required=True,
    may_be_any=True,
    pinned=only,
)
_MINIMUM_ISV_SVN: Rule[int, int] = Rule(
    key="minimum_isv_svn",
    type=integer(most=_UINT16),
    found=vendor("isv_svn"),
    check=is_at_least,
    doc="least security version of the product; older ones have known holes",
    required=True,
    pinned=lambda found: found,
)
SGX_RULES: tuple[Rule[Any, Any], ...] = (
    digests(
        "mr_enclave", 32, "measurement of the enclave; or the next three in its place", required=True, is_code=True
    ),
    digests("mr_signer", 32, "SHA-256 of the key that signed the enclave", required=True, is_code=True),
    _ISV_PROD_ID,
    _MINIMUM_ISV_SVN,
    *PLATFORM_RULES,
    digests("attributes", 16, "flags and extended features of the enclave; left out, all but debug are accepted"),
    digests("misc_select", 4, "extended state that is saved; left out, every one is accepted"),
    digests("config_id", 64, "what the host gave at launch, such as a configuration's digest"),
    digests("isv_ext_prod_id", 16, "the signer's extended product numbers"),
    digests("isv_family_id", 16, "the signer's families of products"),
)
SGX_ALTERNATIVES = (("mr_enclave",), ("mr_signer", "isv_prod_id", "minimum_isv_svn"))
