"""What an authentic token says: in the words that all kinds share, and all of it as it stands there."""

from __future__ import annotations

from dataclasses import asdict

from enclaved.verifier.claims import Claims
from enclaved.verifier.token.statement import texts
from enclaved.verifier.token.verify import VerifiedToken

__all__ = ["NAME", "make_claims"]

NAME = "token"
_COMMON = frozenset({"format", "bound_data", "simulated", "evidence_time"})


def make_claims(verified: VerifiedToken) -> Claims:
    """Return the claims of a verified token.

    All that the token says stands beside what it was understood to state; where the
    token uses one of our names, ours stands.
    """
    statement, payload = verified.kind.statement, verified.payload
    understood = {
        **asdict(statement),
        "kind": verified.kind.name,
        "iss": verified.issuer,
        "sub": payload.get("sub"),
        "aud": texts(payload, "aud"),
        "alg": verified.token.algorithm,
        "kid": verified.token.kid,
        "key": verified.key.thumbprint,
        "age_s": int((verified.at - verified.issued_at).total_seconds()),
    }
    said = {name.lower(): value for name, value in payload.items() if name.lower() not in _COMMON}
    return Claims(
        format=NAME,
        # Two nonces are no binding: the second may be anybody's.
        bound_data=statement.nonces[0] if len(texts(payload, "eat_nonce")) <= 1 and statement.nonces else b"",
        confidential=statement.confidential,
        simulated=False,
        debug=statement.debug,
        tcb_status=statement.tcb_status,
        measurement=statement.measurement,
        evidence_time=verified.issued_at,
        nonces=statement.nonces,
        vendor={**said, **understood},
    )
