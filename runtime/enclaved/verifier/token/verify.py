"""Stage one for attestation tokens: did the holder of a key sign this, and is it in force.

Which keys are the issuer's, no token can say, and the key set beside it neither:
whoever makes up the one makes up the other. So authentic means here that a key of
the set signed the token. Issuer and key are claims, and no policy accepts them
that does not name both. Steps:

1. the token parses, and is signed in a way that is accepted;
2. the key set parses;
3. it holds one key of the name in the header, made for this algorithm;
4. that key signed the token;
5. the payload parses, and says who issued it;
6. it is in force;
7. it is of a known kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import ClaimValue
from enclaved.verifier.token.azure import AZURE, read_azure
from enclaved.verifier.token.ear import EAR, read_ear
from enclaved.verifier.token.google import GOOGLE, read_google
from enclaved.verifier.token.jose import Token, check_signature, read_payload, read_token
from enclaved.verifier.token.keys import KEY_SET_FILE, Key, find_key, read_key_set
from enclaved.verifier.token.statement import Kind, Statement, text
from enclaved.wire.attestation import Evidence
from enclaved.wire.limits import MAX_TIME_MS

__all__ = ["KINDS", "VerifiedToken", "issued_at", "verify_token"]

KINDS: Mapping[str, Callable[[Mapping[str, ClaimValue]], Statement | None]] = {
    AZURE: read_azure,
    GOOGLE: read_google,
    EAR: read_ear,
}
_LATEST = MAX_TIME_MS // 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedToken:
    """A token that is authentic.

    Attributes:
        token: the token.
        key: the key that signed it.
        issuer: who says to have issued it.
        issued_at: when.
        at: as of when it was verified.
        kind: the kind of token, and what it states.
        payload: all that it says.
    """

    token: Token
    key: Key
    issuer: str
    issued_at: datetime
    at: datetime
    kind: Kind
    payload: Mapping[str, ClaimValue]


def verify_token(evidence: Evidence, *, at: datetime, checks: Checks) -> VerifiedToken:
    """Tell an authentic token from any other.

    Args:
        evidence: ``token.jwt`` with ``jwks.json``.
        at: the time at which the token has to be in force; aware.
        checks: the record.

    Returns:
        The token, and what it states.

    Raises:
        EvidenceError: it cannot be read, is of an unsupported kind, or is not authentic.
    """
    # 1. The token parses; no algorithm is taken from it that is not on our list.
    token = read_token(evidence.report, checks)
    # 2. The key set parses.
    keys = read_key_set(evidence.endorsements.get(KEY_SET_FILE), checks)
    # 3. One key, for this algorithm alone.
    key = find_key(keys, token.kid, token.algorithm, checks)
    # 4. That key signed it.
    check_signature(token, key, checks)
    # 5. What it says.
    payload = read_payload(token.payload, checks)
    issuer = text(payload, "iss")
    checks.authentic("iss", found=issuer, wanted="an issuer", ok=bool(issuer))
    # 6. In force: a token that never ends would be accepted for ever.
    issued = _check_times(payload, at, checks)
    # 7. A kind whose claims are understood.
    kind = _kind(payload, checks)
    return VerifiedToken(token=token, key=key, issuer=issuer or "", issued_at=issued, at=at, kind=kind, payload=payload)


def issued_at(evidence: Evidence, checks: Checks) -> datetime | None:
    """Return when a token says that it was issued, nothing verified; None where it does not say.

    Raises:
        EvidenceError: it does not parse; the code is ``"unreadable"``.
    """
    return _time(read_payload(read_token(evidence.report, checks).payload, checks), "iat", checks)


def _check_times(payload: Mapping[str, ClaimValue], at: datetime, checks: Checks) -> datetime:
    """Check the times that a token states (RFC 7519, sections 4.1.4 to 4.1.6).

    Raises:
        EvidenceError: it is not in force (``"not_authentic"``), or a time is none (``"unreadable"``).
    """
    issued, start, end = (_time(payload, name, checks) for name in ("iat", "nbf", "exp"))
    if issued is None or end is None:
        missing = "iat" if issued is None else "exp"
        raise checks.not_authentic(missing, found=None, wanted="a time")
    checks.authentic("exp", found=at, wanted=f"before {end:%Y-%m-%dT%H:%M:%SZ}", ok=at < end)
    for name, time in (("nbf", start or issued), ("iat", issued)):
        checks.authentic(name, found=at, wanted=f"{time:%Y-%m-%dT%H:%M:%SZ} or later", ok=time <= at)
    return issued


def _time(payload: Mapping[str, ClaimValue], name: str, checks: Checks) -> datetime | None:
    value = payload.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LATEST:
        raise checks.unreadable(name, found=value, wanted="seconds since 1970, a whole number")
    return datetime.fromtimestamp(value, UTC)


def _kind(payload: Mapping[str, ClaimValue], checks: Checks) -> Kind:
    for name, read in KINDS.items():
        statement = read(payload)
        if statement is not None:
            checks.authentic("kind", found=name, wanted=f"one of {', '.join(KINDS)}", ok=True)
            return Kind(name=name, statement=statement)
    raise checks.unsupported("kind", found="another kind of token", wanted=f"one of {', '.join(KINDS)}")
