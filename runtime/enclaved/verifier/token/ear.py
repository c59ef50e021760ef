"""Attestation results of IETF RATS (EAR), as Veraison and others issue them.

draft-ietf-rats-ear, "EAT Attestation Results"; the statuses and the claims of the
trustworthiness vector are those of draft-ietf-rats-ar4si. A verifier has already
appraised the evidence by rules of its own: what it says is a verdict, and what
was measured stays with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from enclaved.verifier.claims import ClaimValue
from enclaved.verifier.token.statement import Statement, part, text, texts

__all__ = ["EAR", "STATUSES", "read_ear"]

EAR = "ear"
STATUSES = ("none", "affirming", "warning", "contraindicated")
_TIERS = {0: "none", 2: "affirming", 32: "warning", 96: "contraindicated"}  # AR4SI, section 3.2
_OPAQUE = 2  # "runtime-opaque": the host cannot read what is computed (AR4SI, section 2.3.3)


def read_ear(claims: Mapping[str, ClaimValue]) -> Statement | None:
    """Return what an attestation result states, or None for another kind of token."""
    verifier = part(claims, "ear.verifier-id")
    if not verifier:
        return None
    parts = {name: part(part(claims, "submods"), name) for name in part(claims, "submods")}
    vectors = [part(each, "ear.trustworthiness-vector") for each in parts.values()]
    return Statement(
        nonces=tuple(nonce.encode() for nonce in texts(claims, "eat_nonce") if nonce),
        confidential=bool(vectors) and all(vector.get("runtime-opaque") == _OPAQUE for vector in vectors),
        hardware=None,
        appraisal={name: _status(each) for name, each in parts.items()},
    )


def _status(appraised: Mapping[str, ClaimValue]) -> str:
    """Return the status of a part; one that is not there, or unknown, is none."""
    value = appraised.get("ear.status")
    if isinstance(value, int) and not isinstance(value, bool):
        return _TIERS.get(value, STATUSES[0])
    written = text(appraised, "ear.status")
    return written if written in STATUSES else STATUSES[0]
