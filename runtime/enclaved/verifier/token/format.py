"""The row of attestation tokens in the table of formats."""

from __future__ import annotations

import hashlib
from datetime import datetime

from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import Claims
from enclaved.verifier.format import Format
from enclaved.verifier.roots import Roots
from enclaved.verifier.token.claims import NAME, make_claims
from enclaved.verifier.token.keys import KEY_SET_FILE
from enclaved.verifier.token.rules import RULES
from enclaved.verifier.token.verify import issued_at, verify_token
from enclaved.wire.attestation import Evidence

__all__ = ["TOKEN"]


def _authenticate(evidence: Evidence, *, at: datetime, roots: Roots, checks: Checks) -> Claims:
    # No root: the issuer's keys come along, and the policy names them.
    return make_claims(verify_token(evidence, at=at, checks=checks))


def _hashed_binding(binding: bytes) -> bytes:
    """Return the binding as a nonce: issuers take a short text only."""
    return hashlib.sha256(binding).hexdigest().encode()


def _own_time(evidence: Evidence) -> datetime | None:
    return issued_at(evidence, Checks())


TOKEN = Format(
    name=NAME,
    title="attestation token",
    report_file="token.jwt",
    endorsement_files=(KEY_SET_FILE,),
    authenticate=_authenticate,
    bound_field="eat_nonce",
    expected_binding=_hashed_binding,
    rules=RULES,
    own_time=_own_time,
)
