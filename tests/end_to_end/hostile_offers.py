"""Offers made by hand, byte for byte as the protocol's page says, so that each of their parts can be turned."""

from __future__ import annotations

import hashlib
import os

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from enclaved.wire import hpke
from enclaved.wire.codec import encode
from enclaved.wire.envelope import derive
from enclaved.wire.lp import length_prefixed
from enclaved.wire.session import SessionKeys, session_id
from hostile_caller import HostileCaller, Session

__all__ = ["session_of_secret", "session_with_proof"]

_SUITE = "x25519"


def session_with_proof(
    caller: HostileCaller, *, key: Ed25519PrivateKey, bundle_digest: bytes | None = None, of_secret: bytes | None = None
) -> Session:
    """Make a session whose offer holds a proof that was made for another bundle, or for another secret."""
    secret = os.urandom(32)
    digest = hashlib.sha256(of_secret or secret).digest()
    statement = length_prefixed(b"enclaved/1 caller proof", bundle_digest or caller.bundle_digest, digest)
    proof = {"public_key": key.public_key().public_bytes_raw(), "signature": key.sign(statement)}
    return session_of_secret(caller, secret, encode({"secret": secret, "caller_proof": proof}))


def session_of_secret(caller: HostileCaller, secret: bytes, message: bytes) -> Session:
    """Make a session whose offer seals these very bytes, which need not hold that secret."""
    info = length_prefixed(b"enclaved/1 session", _SUITE.encode(), caller.bundle_digest)
    sealed = hpke.seal(message, suite=_SUITE, public_key=caller.public_key, info=info)
    return _session(caller, secret, encode({"suite": _SUITE, "sealed": sealed}))


def _session(caller: HostileCaller, secret: bytes, offer: bytes) -> Session:
    salt = hashlib.sha256(offer).digest()
    keys = SessionKeys(
        session_id=session_id(offer),
        request_key=derive(secret, salt=salt, info=(b"enclaved/1 request key",)),
        result_secret=derive(secret, salt=salt, info=(b"enclaved/1 result secret",)),
        caller=None,
    )
    return Session(offer=offer, keys=keys, key_id=caller.bundle_digest[:16], runtime_id=caller.runtime_id)
