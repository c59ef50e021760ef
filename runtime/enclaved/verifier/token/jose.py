"""Signed tokens: JWS in its compact form (RFC 7515), by PyJWT.

This is the one file that knows the library. Of the header only the algorithm and
the key's name are used. ``jku``, ``jwk`` and ``x5c`` let whoever sends a token
choose the key that it is verified with, so they are never looked at; ``crit`` and
``b64`` change what is signed, so a token that has them is refused.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import jwt

from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import ClaimValue
from enclaved.verifier.token.keys import ALGORITHMS, Key
from enclaved.verifier.token.strict_json import read_object

__all__ = ["Token", "check_signature", "read_payload", "read_token"]

_CHANGES_WHAT_IS_SIGNED = ("crit", "b64", "zip", "enc")
_WANTED = "one that verifies with the key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token, nothing verified.

    Attributes:
        text: the token.
        algorithm: the signature algorithm, one of `ALGORITHMS`.
        kid: the name of the key, None where there is none.
        type: the header's ``typ``, None where there is none.
        payload: what is signed, nothing verified.
    """

    text: str
    algorithm: str
    kid: str | None
    type: str | None
    payload: bytes


def read_token(data: bytes, checks: Checks) -> Token:
    """Return the token that a file holds.

    Args:
        data: the file's bytes; spaces and line ends around the token are let be.
        checks: the record.

    Raises:
        EvidenceError: it holds none (``"unreadable"``), or one that is signed in a way that is not
            accepted (``"not_authentic"``).
    """
    try:
        text = data.decode("ascii").strip()
        encoded_header, encoded_payload, _ = text.split(".")
        header, payload = read_object(_from_base64(encoded_header)), _from_base64(encoded_payload)
    except (ValueError, binascii.Error) as error:
        raise checks.unreadable("token", found=str(error), wanted="a signed token in its compact form") from error
    algorithm, kid, type_ = (header.get(name) for name in ("alg", "kid", "typ"))
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise checks.not_authentic("alg", found=algorithm, wanted=f"one of {', '.join(ALGORITHMS)}")
    if not isinstance(kid, str | None) or not isinstance(type_, str | None):
        raise checks.unreadable("token", found="a kid or a typ that is no text", wanted="texts")
    found = [name for name in _CHANGES_WHAT_IS_SIGNED if name in header]
    checks.authentic("header", found=found, wanted="nothing that changes what is signed", ok=not found)
    return Token(text=text, algorithm=algorithm, kid=kid, type=type_, payload=payload)


def check_signature(token: Token, key: Key, checks: Checks) -> None:
    """Check that a key signed a token.

    Args:
        token: the token.
        key: the key that its header names.
        checks: the record.

    Raises:
        EvidenceError: it did not; the code is ``"not_authentic"``.
    """
    try:
        payload = jwt.PyJWS().decode(token.text, key.public_key, algorithms=[token.algorithm])
    except (jwt.PyJWTError, ValueError, TypeError, NotImplementedError) as error:
        raise checks.not_authentic("signature", found=str(error), wanted=_WANTED) from error
    # The library has read the same token on its own; what it verified has to be what is read here.
    checks.authentic("signature", found="one that verifies", wanted=_WANTED, ok=payload == token.payload)


def read_payload(payload: bytes, checks: Checks) -> Mapping[str, ClaimValue]:
    """Return the claims of a token.

    Raises:
        EvidenceError: the payload is no JSON object, or one that readers would differ on; the code is ``"unreadable"``.
    """
    try:
        return read_object(payload)
    except ValueError as error:
        raise checks.unreadable("payload", found=str(error), wanted="a JSON object") from error


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
