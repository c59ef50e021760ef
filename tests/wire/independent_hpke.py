"""HPKE's opening from its parts (RFC 9180, sections 4 and 5), for X25519 and X-Wing: no HPKE library.

It holds the library that the package trusts against the standard's own steps.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_X25519 = 0x0020
_XWING = 0x647A
_XWING_LABEL = bytes.fromhex("5c2e2f2f5e5c")


def _extract(salt: bytes, suite_id: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite_id + label + ikm, "sha256")


def _expand(prk: bytes, suite_id: bytes, label: bytes, info: bytes, size: int) -> bytes:
    labeled = size.to_bytes(2, "big") + b"HPKE-v1" + suite_id + label + info
    block = output = b""
    while len(output) < size:
        block = hmac.digest(prk, block + labeled + bytes([len(output) // 32 + 1]), "sha256")
        output += block
    return output[:size]


def xwing_secret(seed: bytes, encapsulated: bytes) -> bytes:
    """Return X-Wing's shared secret."""
    expanded = hashlib.shake_256(seed).digest(96)
    curve = X25519PrivateKey.from_private_bytes(expanded[64:])
    lattice_part, curve_part = encapsulated[:1088], encapsulated[1088:]
    return hashlib.sha3_256(
        MLKEM768PrivateKey.from_seed_bytes(expanded[:64]).decapsulate(lattice_part)
        + curve.exchange(X25519PublicKey.from_public_bytes(curve_part))
        + curve_part
        + curve.public_key().public_bytes_raw()
        + _XWING_LABEL
    ).digest()


def x25519_secret(seed: bytes, encapsulated: bytes) -> bytes:
    """Return DHKEM(X25519)'s shared secret."""
    key = X25519PrivateKey.from_private_bytes(seed)
    suite_id = b"KEM" + _X25519.to_bytes(2, "big")
    shared = key.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    context = encapsulated + key.public_key().public_bytes_raw()
    return _expand(_extract(b"", suite_id, b"eae_prk", shared), suite_id, b"shared_secret", context, 32)


def open_sealed(suite: str, seed: bytes, info: bytes, sealed: bytes, *, aad: bytes = b"") -> bytes:
    """Open a single-shot, base-mode message."""
    kem, size, secret_of = (_X25519, 32, x25519_secret) if suite == "x25519" else (_XWING, 1120, xwing_secret)
    encapsulated, ciphertext = sealed[:size], sealed[size:]
    suite_id = b"HPKE" + kem.to_bytes(2, "big") + b"\x00\x01\x00\x02"
    context = b"\x00" + _extract(b"", suite_id, b"psk_id_hash", b"") + _extract(b"", suite_id, b"info_hash", info)
    secret = _extract(secret_of(seed, encapsulated), suite_id, b"secret", b"")
    key = _expand(secret, suite_id, b"key", context, 32)
    nonce = _expand(secret, suite_id, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, aad)
