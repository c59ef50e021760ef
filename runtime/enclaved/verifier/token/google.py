"""Tokens of Google Confidential Space.

Google, "Confidential Space: Attestation token claims". The hardware is told by
``hwmodel``. Plain SEV encrypts memory and leaves registers and integrity to the
host, so it does not show that the host is kept out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from enclaved.verifier.claims import ClaimValue
from enclaved.verifier.token.statement import Statement, flag, hex_bytes, part, text, texts

__all__ = ["GOOGLE", "read_google"]

GOOGLE = "confidential-space"
_PROFILE = "https://cloud.google.com/confidential-computing/confidential-space/docs/reference/token-claims"
_CONFIDENTIAL = {"GCP_INTEL_TDX", "GCP_AMD_SEV_SNP"}
_NEVER_DEBUGGED = {"disabled-since-boot", "disabled-permanently", "disabled-fully-and-permanently"}  # RFC 9711, 4.2.9
_DIGEST = "sha256:"


def read_google(claims: Mapping[str, ClaimValue]) -> Statement | None:
    """Return what a token of Confidential Space states, or None for another kind of token."""
    if text(claims, "eat_profile") != _PROFILE:
        return None
    submodules = part(claims, "submods")
    debug = text(claims, "dbgstat")
    hardware = text(claims, "hwmodel")
    return Statement(
        nonces=tuple(nonce.encode() for nonce in texts(claims, "eat_nonce") if nonce),
        confidential=hardware in _CONFIDENTIAL,
        hardware=hardware,
        debug=None if debug is None else debug not in _NEVER_DEBUGGED,
        measurement=_image(text(part(submodules, "container"), "image_digest")),
        tcb_status=text(part(claims, "tdx"), "gcp_attester_tcb_status"),
        secure_boot=flag(claims, "secboot"),
        software=text(claims, "swname"),
        support_attributes=texts(part(submodules, "confidential_space"), "support_attributes"),
    )


def _image(digest: str | None) -> bytes | None:
    value = hex_bytes(digest.removeprefix(_DIGEST)) if digest and digest.startswith(_DIGEST) else None
    return value if value and len(value) == hashlib.sha256().digest_size else None
