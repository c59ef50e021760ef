"""Where the vendors' services are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from enclaved.errors import ConfigurationError

__all__ = ["AMD_KDS", "INTEL_PCS", "INTEL_ROOT_CRL", "Services", "check_address"]

AMD_KDS = "https://kdsintf.amd.com"
INTEL_PCS = "https://api.trustedservices.intel.com"
# The distribution point that Intel's root certificate names; a PCCS serves the same list itself.
INTEL_ROOT_CRL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
_PCCS_ROOT_CRL = "/sgx/certification/v4/rootcacrl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services that are asked.

    Attributes:
        amd: AMD's key distribution service, or a cache of it.
        intel: Intel's provisioning certification service, or a PCCS, which is a cache of it.
        intel_root_crl: the revocation list of Intel's root.

    Raises:
        ConfigurationError: one is no address of a service.
    """

    amd: str = AMD_KDS
    intel: str = INTEL_PCS
    intel_root_crl: str = INTEL_ROOT_CRL

    def __post_init__(self) -> None:
        for address in (self.amd, self.intel, self.intel_root_crl):
            check_address(address)

    def with_kds(self, address: str) -> Services:
        """Return these services, with another that speaks as AMD's does.

        Raises:
            ConfigurationError: it is no address of a service.
        """
        return replace(self, amd=check_address(address))

    def with_pccs(self, address: str) -> Services:
        """Return these services, with a PCCS in place of Intel's.

        Raises:
            ConfigurationError: it is no address of a service.
        """
        base = check_address(address)
        return replace(self, intel=base, intel_root_crl=base + _PCCS_ROOT_CRL)


def check_address(address: str) -> str:
    """Return the address of a service, as paths are appended to it.

    Args:
        address: ``https://HOST[:PORT][/PATH]``.

    Raises:
        ConfigurationError: it is something else.
    """
    try:
        parts = urlsplit(address)
        plain = not (parts.query or parts.fragment or parts.username or parts.password) and "@" not in parts.netloc
        good = parts.scheme == "https" and bool(parts.hostname) and plain and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or not address.isascii() or not address.isprintable() or " " in address:
        raise ConfigurationError(
            repr(address[:128]), "no address of a service", remedy="Write it as https://HOST[:PORT][/PATH]."
        )
    return address.rstrip("/")
