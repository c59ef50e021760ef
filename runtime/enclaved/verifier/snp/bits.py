"""The bits of two fields of the report, under the names that AMD gives them.

AMD publication 56860: section 4.3, table "Guest Policy Structure", and section
7.3, table "PLATFORM_INFO Field".
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["OPTIONAL_POLICY_BITS", "PLATFORM_INFO_BITS", "platform_info_bits", "policy_bits"]

OPTIONAL_POLICY_BITS = {
    "cxl_allow": 21,
    "mem_aes_256_xts": 22,
    "rapl_dis": 23,
    "ciphertext_hiding_dram": 24,
    "page_swap_disable": 25,
}
_POLICY_BITS = {
    "smt": 16,  # simultaneous multithreading is allowed
    "migrate_ma": 18,  # a migration agent may be associated
    "debug": 19,  # the host may decrypt the guest's memory
    "single_socket": 20,  # one socket only
    **OPTIONAL_POLICY_BITS,
}
PLATFORM_INFO_BITS = {
    "smt_en": 0,
    "tsme_en": 1,
    "ecc_en": 2,
    "rapl_dis": 3,
    "ciphertext_hiding_dram_en": 4,
    "alias_check_complete": 5,
    "tio_en": 7,
}


def policy_bits(policy: int) -> Mapping[str, int | bool]:
    """Return the guest policy's parts by name: the firmware ABI that it wants, and its flags."""
    flags = {name: bool(policy >> bit & 1) for name, bit in _POLICY_BITS.items()}
    return {"abi_major": policy >> 8 & 0xFF, "abi_minor": policy & 0xFF, **flags}


def platform_info_bits(platform_info: int) -> Mapping[str, bool]:
    """Return the platform's flags by name."""
    return {name: bool(platform_info >> bit & 1) for name, bit in PLATFORM_INFO_BITS.items()}
