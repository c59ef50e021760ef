"""Sets of public keys, and naming keys by thumbprint (RFC 7517, RFC 7638).

The set comes with the token, so it proves nothing: which keys are the issuer's,
the policy says, by the SHA-256 thumbprint of each. A key that carries only a
certificate (``x5c``), as Azure publishes them, is read out of it; the certificate
vouches for nothing here.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from enclaved.verifier.checks import Checks
from enclaved.verifier.claims import ClaimValue
from enclaved.verifier.token.strict_json import read_object

__all__ = ["ALGORITHMS", "KEY_SET_FILE", "Key", "find_key", "read_key_set"]

KEY_SET_FILE = "jwks.json"
ALGORITHMS = {"RS256": "RSA", "ES256": "P-256", "ES384": "P-384"}
"""The signature algorithms that are accepted, and the kind of key that each wants (RFC 7518, section 3.1)."""
_CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}
_MOST = 64  # keys; Azure publishes about ten per region
_RSA_BITS = range(2048, 8193)  # RFC 7518, section 3.3; above, verifying one token takes milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A public key that may sign tokens.

    Attributes:
        kid: its name in the set; None where it has none.
        kind: ``RSA``, ``P-256`` or ``P-384``.
        algorithm: the one algorithm that it is for; None where the set does not say.
        public_key: the key.
        thumbprint: ``sha256:`` and 64 hex digits.
    """

    kid: str | None
    kind: str
    algorithm: str | None
    public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    thumbprint: str


def read_key_set(data: bytes | None, checks: Checks) -> tuple[Key, ...]:
    """Return the keys of a set that may sign tokens; those of other kinds are passed over.

    Args:
        data: the file's bytes; None where there is no such file.
        checks: the record.

    Raises:
        EvidenceError: it is no key set, or a key of a known kind does not parse; the code is ``"unreadable"``.
    """
    try:
        found = [_read_key(key) for key in _listed(read_object(data or b""))]
    except Exception as error:
        # The parser of certificates raises ValueError, TypeError, UnsupportedAlgorithm, InvalidVersion and more.
        raise checks.unreadable(KEY_SET_FILE, found=str(error), wanted="a JSON Web Key Set") from error
    return tuple(key for key in found if key is not None)


def find_key(keys: Sequence[Key], kid: str | None, algorithm: str, checks: Checks) -> Key:
    """Return the one key that a token's header names.

    Args:
        keys: the keys of the set.
        kid: the header's key identifier, compared as it is: Azure's hold ``+``, ``/`` and ``=``. None
            where the header has none; then the set has to hold one key only.
        algorithm: the header's algorithm.
        checks: the record.

    Raises:
        EvidenceError: there is none, or more than one, or it is for another algorithm; the code is ``"not_authentic"``.
    """
    named = [key for key in keys if kid is None or key.kid == kid]
    if len(named) != 1:
        raise checks.not_authentic("kid", found=f"{len(named)} keys for {kid!r}", wanted="one key of that name")
    key = named[0]
    checks.equal("key kind", found=key.kind, wanted=ALGORITHMS[algorithm])
    checks.authentic(
        "key algorithm", found=key.algorithm, wanted=f"{algorithm}, or none", ok=key.algorithm in (None, algorithm)
    )
    return key


def _listed(key_set: Mapping[str, ClaimValue]) -> list[Mapping[str, ClaimValue]]:
    keys = key_set.get("keys")
    if not isinstance(keys, tuple) or not 0 < len(keys) <= _MOST:
        raise ValueError(f"not 1 to {_MOST} keys")
    return [key for key in keys if isinstance(key, Mapping)]


def _read_key(key: Mapping[str, ClaimValue]) -> Key | None:
    kind, public_key = _public_key(key)
    if public_key is None or key.get("use", "sig") != "sig":
        return None
    kid, algorithm = key.get("kid"), key.get("alg")
    if not isinstance(kid, str | None) or not isinstance(algorithm, str | None):
        raise ValueError("a kid or an alg that is no text")  # noqa: TRY004 - one kind of error for what does not parse
    return Key(kid=kid, kind=kind, algorithm=algorithm, public_key=public_key, thumbprint=_thumbprint(public_key))


def _public_key(
    key: Mapping[str, ClaimValue],
) -> tuple[str, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | None]:
    match key:
        case {"kty": "RSA", "n": str() as n, "e": str() as e}:
            return "RSA", _sized(rsa.RSAPublicNumbers(e=_number(e), n=_number(n)).public_key())
        case {"kty": "RSA", "x5c": (str() as certificate, *_)}:
            carried = x509.load_der_x509_certificate(base64.b64decode(certificate, validate=True)).public_key()
            return "RSA", _sized(carried) if isinstance(carried, rsa.RSAPublicKey) else None
        case {"kty": "EC", "crv": str() as curve, "x": str() as x, "y": str() as y} if curve in _CURVES:
            return curve, ec.EllipticCurvePublicNumbers(x=_number(x), y=_number(y), curve=_CURVES[curve]).public_key()
        case _:
            return "", None


def _sized(key: rsa.RSAPublicKey) -> rsa.RSAPublicKey | None:
    return key if key.key_size in _RSA_BITS else None


def _number(text: str) -> int:
    return int.from_bytes(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True), "big")


def _thumbprint(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    """Return the digest of the key's required members, in the one form that RFC 7638 gives them (section 3)."""
    if isinstance(key, rsa.RSAPublicKey):
        rsa_numbers = key.public_numbers()
        members = {"e": _base64(rsa_numbers.e), "kty": "RSA", "n": _base64(rsa_numbers.n)}
    else:
        numbers, size = key.public_numbers(), (key.key_size + 7) // 8
        name = next(name for name, curve in _CURVES.items() if curve.name == key.curve.name)
        members = {"crv": name, "kty": "EC", "x": _base64(numbers.x, size), "y": _base64(numbers.y, size)}
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _base64(number: int, size: int = 0) -> str:
    value = number.to_bytes(size or (number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
