"""A session: one caller's shared secret with one key bundle.

The library's HPKE is single-shot, so the caller seals a fresh secret and both
sides derive their keys from that. The bundle's digest stands in HPKE's ``info``:
an offer opens under the bundle that it was sealed to, and under no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from enclaved.clock import RandomBytes
from enclaved.errors import ProtocolError
from enclaved.wire import hpke
from enclaved.wire.codec import decode, encode
from enclaved.wire.envelope import derive
from enclaved.wire.limits import MAX_OFFER
from enclaved.wire.lp import length_prefixed

__all__ = ["Offer", "SessionKeys", "make_offer", "open_offer", "session_id"]

_SESSION_LABEL = b"enclaved/1 session"
_PROOF_LABEL = b"enclaved/1 caller proof"
_REQUEST_LABEL = b"enclaved/1 request key"
_RESULT_LABEL = b"enclaved/1 result secret"
_SECRET_SIZE = 32


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What opens a session.

    Attributes:
        suite: the HPKE suite's name.
        sealed: the secret and the caller's proof, sealed to the bundle's key of that suite.
    """

    suite: str
    sealed: bytes


class _CallerProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    public_key: bytes
    signature: bytes


class _Secret(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    secret: bytes
    caller_proof: _CallerProof | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SessionKeys:
    """What both ends of a session hold; it shows itself to nobody.

    Attributes:
        session_id: SHA-256 of the offer, cut to 16 bytes.
        request_key: seals invocations, each under its sequence.
        result_secret: makes each result's own key.
        caller: the caller's Ed25519 public key, 32 bytes, or None for an anonymous caller.
    """

    session_id: bytes
    request_key: bytes
    result_secret: bytes
    caller: bytes | None


def session_id(offer: bytes) -> bytes:
    """Return the 16 bytes that name the session of an offer."""
    return hashlib.sha256(offer).digest()[:16]


def make_offer(
    *,
    suite: str,
    public_key: bytes,
    bundle_digest: bytes,
    random: RandomBytes,
    caller_key: Ed25519PrivateKey | None = None,
) -> tuple[bytes, SessionKeys]:
    """Open a session on the caller's side.

    Args:
        suite: the HPKE suite's name.
        public_key: the bundle's key of that suite.
        bundle_digest: the verified bundle's digest, 32 bytes.
        random: makes the secret.
        caller_key: proves who calls; left out for functions that anybody may call,
            since a proof is transferable evidence of contact.

    Returns:
        The offer's bytes and the session's keys.

    Raises:
        ProtocolError: the suite is unknown, or the key is not one of it.
    """
    secret = random(_SECRET_SIZE)
    proof = None
    if caller_key is not None:
        signature = caller_key.sign(_proof_input(bundle_digest, secret))
        proof = _CallerProof(public_key=caller_key.public_key().public_bytes_raw(), signature=signature)
    sealed = hpke.seal(
        encode(_Secret(secret=secret, caller_proof=proof)),
        suite=suite,
        public_key=public_key,
        info=_info(suite, bundle_digest),
    )
    offer = encode(Offer(suite=suite, sealed=sealed))
    return offer, _derive_keys(offer, secret, caller=proof.public_key if proof else None)


def open_offer(offer: bytes, *, bundle_digest: bytes, keys: Mapping[str, hpke.PrivateKey]) -> SessionKeys:
    """Open a session on the enclave's side.

    Args:
        offer: untrusted bytes.
        bundle_digest: the digest of the bundle that holds `keys`.
        keys: the bundle's private keys by suite.

    Returns:
        The session's keys; `caller` is set only where the proof holds.

    Raises:
        ProtocolError: it does not parse, does not open, or carries a proof that does not hold.
    """
    parsed = decode(offer, Offer, what="offer", max_size=MAX_OFFER)
    key = keys.get(parsed.suite)
    if key is None:
        raise ProtocolError("offer", "a suite that the bundle has no key of")
    opened = hpke.open_sealed(parsed.sealed, key=key, info=_info(parsed.suite, bundle_digest))
    secret = decode(opened, _Secret, what="offer", max_size=MAX_OFFER)
    if len(secret.secret) != _SECRET_SIZE:
        raise ProtocolError("offer", f"a secret has {_SECRET_SIZE} bytes")
    proof = secret.caller_proof
    if proof is not None:
        _check_proof(proof, bundle_digest, secret.secret)
    return _derive_keys(offer, secret.secret, caller=proof.public_key if proof else None)


def _check_proof(proof: _CallerProof, bundle_digest: bytes, secret: bytes) -> None:
    """Check the proof over the secret actually opened: one lifted from another session proves nothing here."""
    try:
        public_key = Ed25519PublicKey.from_public_bytes(proof.public_key)
        public_key.verify(proof.signature, _proof_input(bundle_digest, secret))
    except (InvalidSignature, ValueError) as error:
        raise ProtocolError("caller proof", "does not hold") from error


def _derive_keys(offer: bytes, secret: bytes, *, caller: bytes | None) -> SessionKeys:
    salt = hashlib.sha256(offer).digest()
    return SessionKeys(
        session_id=session_id(offer),
        request_key=derive(secret, salt=salt, info=(_REQUEST_LABEL,)),
        result_secret=derive(secret, salt=salt, info=(_RESULT_LABEL,)),
        caller=caller,
    )


def _info(suite: str, bundle_digest: bytes) -> bytes:
    return length_prefixed(_SESSION_LABEL, suite.encode(), bundle_digest)


def _proof_input(bundle_digest: bytes, secret: bytes) -> bytes:
    return length_prefixed(_PROOF_LABEL, bundle_digest, hashlib.sha256(secret).digest())
