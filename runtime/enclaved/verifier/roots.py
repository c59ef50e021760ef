"""The roots of trust: vendors' root certificates, pinned by SHA-256 of their DER encoding.

Certificates travel with the evidence; only their fingerprints are held here. The
released table is the default of every verification. It is replaced by an
argument alone, which tests construct: no option, policy key, file or environment
variable reaches it, because whoever could set one could make up the hardware.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["AMD_GENOA", "AMD_MILAN", "AMD_TURIN", "AWS_NITRO", "INTEL_SGX", "RELEASED_ROOTS", "Roots"]

AMD_MILAN = "amd-milan"
AMD_GENOA = "amd-genoa"
AMD_TURIN = "amd-turin"
AWS_NITRO = "aws-nitro"
INTEL_SGX = "intel-sgx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """Fingerprints of root certificates, by what they vouch for.

    Attributes:
        fingerprints: for each name (`AMD_MILAN` …), the SHA-256 digests of the DER encodings of
            the root certificates that may end a chain of that kind.
    """

    fingerprints: Mapping[str, frozenset[bytes]]

    def of(self, name: str) -> frozenset[bytes]:
        """Return the fingerprints for a name; none for a name that is not in the table."""
        return self.fingerprints.get(name, frozenset())


def _pinned(*digests: str) -> frozenset[bytes]:
    return frozenset(bytes.fromhex(digest) for digest in digests)


RELEASED_ROOTS = Roots(
    fingerprints=MappingProxyType(
        {
            # AMD Root Keys, one per product line: https://kdsintf.amd.com/vcek/v1/<line>/cert_chain
            AMD_MILAN: _pinned("69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"),
            AMD_GENOA: _pinned("4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1"),
            AMD_TURIN: _pinned("1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a"),
            # AWS Nitro Enclaves root G1; AWS publishes the digest of the ZIP file, which is another.
            AWS_NITRO: _pinned("641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"),
            # Intel SGX Root CA: the certificate until 2049 and its predecessor until 2033, over one key.
            INTEL_SGX: _pinned(
                "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3",
                "fc64f8076d79a4fee9d1d473d74c89eb8d8fd55c5abafeabeba7366d20429404",
            ),
        }
    )
)
